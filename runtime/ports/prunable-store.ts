/**
 * The right to delete objects of a repository. It is no part of `ObjectStore`: whoever captures, copies or restores cannot delete. Only
 * the workflow that prunes may import this port (`biome.json`).
 */
export interface PrunableStore {
  /**
   * Deletes these objects, whole: also all that the store keeps of them as earlier versions. One that is not there counts as
   * deleted, so that it is safe to repeat. Throws ACCESS_DENIED when nothing may be deleted.
   * @returns those that the store keeps, with its reason: a lock that has not run out.
   */
  delete(keys: readonly string[]): Promise<readonly LockedObject[]>;
}

export interface LockedObject {
  readonly key: string;
  readonly reason: string;
}

/** The most keys that one call takes. */
export const mostKeysAtOnce = 1_000;
