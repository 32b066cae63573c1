/** Files that only their owner may read. */
export interface PrivateFiles {
  /** Undefined when there is none. Throws SETTING_INVALID when it cannot be read. */
  read(path: string): Promise<string | undefined>;
  /** The file appears whole or not at all, and none is replaced. */
  create(path: string, text: string): Promise<"created" | "exists">;
}
