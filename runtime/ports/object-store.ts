export interface StoredObject {
  readonly key: string;
  readonly size: number;
  /** When it was stored, by the store's own clock. Absent where the store does not tell. */
  readonly storedAt?: Date | undefined;
}

export interface ObjectStoreReader {
  /** The whole object, or `length` bytes from `offset`. Throws OBJECT_NOT_FOUND. Never answers short. */
  get(key: string, range?: { readonly offset: number; readonly length: number }): Promise<Buffer>;
  /** Every object whose key starts with `prefix`, once, in any order. Throws rather than ending early. */
  list(prefix: string): AsyncIterable<StoredObject>;
}

export interface ObjectStore extends ObjectStoreReader {
  /**
   * Writes the object unless the key exists; then nothing changes and the answer is "exists". Safe to repeat: after an
   * error it is unknown whether the object was written, and a second call tells.
   * @param sha256 of the bytes in hex, where the caller knows it: then nobody computes it again.
   */
  create(key: string, bytes: Uint8Array, sha256?: string): Promise<"created" | "exists">;
}
