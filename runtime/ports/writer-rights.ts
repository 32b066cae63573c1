/** What who holds the credentials of a store can do to an object that is there, tried out on one made for it. */
export interface WriterRights {
  /** Put other bytes in its place. */
  readonly replaces: boolean;
  /** Delete it, so that it is found no more. */
  readonly deletes: boolean;
  /** Take away its bytes for good: no version of it is left. */
  readonly destroys: boolean;
  /** Destroys only by asking to go past the lock, which is in governance mode. */
  readonly bypassesLock: boolean;
}
