/** A file that somebody made a snapshot of a collection into. */
export interface SnapshotFile {
  readonly path: string;
  /** Its name without the folder. */
  readonly name: string;
  readonly bytes: number;
  /** From this byte on; the file is closed when the generator ends, also before its end. */
  read(from?: number): AsyncGenerator<Uint8Array>;
}
