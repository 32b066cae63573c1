/** Makes a secret readable for holders of certain keys only. */
export interface KeyWrap {
  wrap(secret: string): Promise<Uint8Array>;
  /** Throws KEY_UNAVAILABLE when this holder's key does not open it. */
  unwrap(wrapped: Uint8Array): Promise<string>;
}
