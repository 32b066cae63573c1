export interface StoredObject {
  readonly key: string;
  readonly size: number;
  /** When it was stored, by the store's own clock. Absent where the store does not tell. */
  readonly storedAt?: Date | undefined;
}

export interface Abortable {
  /** Ends the request, and every repetition of it; what is thrown is the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** What is asked of an object: all of it, or `length` bytes from `offset`. */
export interface ReadRequest extends Abortable {
  readonly offset?: number;
  readonly length?: number;
  /** A larger object is refused before its bytes come (OBJECT_CORRUPT). It bounds whole objects; a part is bounded by its length. */
  readonly mostBytes?: number | undefined;
}

export interface ObjectStoreReader {
  /** The whole object, or the part that is asked for. Throws OBJECT_NOT_FOUND. Never answers short. */
  get(key: string, request?: ReadRequest): Promise<Buffer>;
  /**
   * SHA-256 in hex of the bytes that the store keeps, without reading them where the store knows it; undefined where it keeps none for
   * this object. Throws OBJECT_NOT_FOUND.
   */
  checksumOf(key: string): Promise<string | undefined>;
  /** Every object whose key starts with `prefix`, once, in any order. Throws rather than ending early. */
  list(prefix: string, request?: Abortable): AsyncIterable<StoredObject>;
  /** Names of what stands directly below `folder` and has more below it, each once, in any order. `folder` ends with a slash. */
  folders(folder: string, request?: Abortable): AsyncIterable<string>;
  /** How many bytes an object has; undefined when there is none. */
  sizeOf(key: string, request?: Abortable): Promise<number | undefined>;
  /**
   * What stood under this key before it was replaced, the oldest first; nothing where the store keeps no versions or does not show them.
   * Some are enough: of many, the oldest.
   */
  formerly?(key: string, request?: Pick<ReadRequest, "mostBytes" | "signal">): AsyncIterable<Buffer>;
}

export interface ObjectStore extends ObjectStoreReader {
  /**
   * Writes the object unless the key exists; then nothing changes and the answer is "exists". Safe to repeat: after an
   * error it is unknown whether the object was written, and a second call tells.
   * @param sha256 of the bytes in hex, where the caller knows it: then nobody computes it again.
   * @param lockedUntil nobody can delete it before; as the store does by itself when left out. Only where the store keeps locks.
   */
  create(key: string, bytes: Uint8Array, sha256?: string, lockedUntil?: Date): Promise<"created" | "exists">;
  /** Undefined, like the method: the store keeps no locks. */
  locks?(): Promise<ObjectLocks | undefined>;
}

/** Locks of single objects: until when nobody can delete one, whatever rights he has. */
export interface ObjectLocks {
  /** What is stored without a lock gets one that the store's owner has decided. */
  readonly locksByItself: boolean;
  /** Undefined: who has the right can delete it now. Throws OBJECT_NOT_FOUND. */
  lockedUntil(key: string): Promise<Date | undefined>;
  /** Throws ACCESS_DENIED when it would become shorter, or this may not lock. */
  extend(key: string, until: Date): Promise<void>;
}
