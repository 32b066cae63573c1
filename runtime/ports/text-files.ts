/** A folder of texts for people and other programs; it need not be there yet. */
export interface TextFiles {
  /** Undefined when there is no such file. */
  read(path: string): Promise<string | undefined>;
  /** Whole, or not at all: what stood there stays until it is replaced. */
  write(path: string, text: string): Promise<void>;
}
