/** A file that somebody made a snapshot of a collection into. */
export interface SnapshotFile {
  readonly path: string;
  /** Its name without the folder. */
  readonly name: string;
  readonly bytes: number;
  /** From its beginning, each time. */
  read(): AsyncIterable<Uint8Array>;
}
