/** Makes a secret readable for holders of certain keys only. */
export interface KeyWrap {
  /** Names those that it is wrapped for: the same whoever opens, another one for other holders. */
  readonly holders: string;
  wrap(secret: string): Promise<Uint8Array>;
  /** Throws KEY_UNAVAILABLE when this holder's key does not open it. */
  unwrap(wrapped: Uint8Array): Promise<string>;
}
