export interface NewFile {
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** A folder that new files are written into, each of which appears whole or not at all. */
export interface NewFiles {
  /** Makes the folder where there is none. Throws TARGET_NOT_EMPTY when one of the names is taken. */
  refuseTaken(names: readonly string[]): Promise<void>;
  /** Throws TARGET_NOT_EMPTY when the name is taken, ACCESS_DENIED or DISK_FULL. */
  write(name: string, content: AsyncIterable<Uint8Array>): Promise<NewFile>;
}
