/** What a store says of how it keeps objects from being replaced and deleted. */
export interface StoreProtection {
  /** Whether it keeps what was replaced or deleted; undefined when it does not say. */
  readonly keepsVersions: boolean | undefined;
  /** For how many days nobody can delete a new object; 0: anybody with the right can; undefined when it does not say. */
  readonly lockedDays: number | undefined;
  /** Why something is not known. */
  readonly problem?: string;
}
