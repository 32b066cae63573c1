export interface FailoverHookEvent {
  readonly when: "before" | "after";
  readonly step: string;
  readonly epoch: number;
  /** The region that is promoted. */
  readonly region: string;
  readonly run: string;
}

/** Asks the region that is promoted; answers how long the slowest search took. */
export type AskQueries = () => Promise<{ readonly ms: number; readonly collection?: string }>;

/** Commands of the operator around a failover's steps. Throws HOOK_FAILED when the failover must not go on. */
export type FailoverHooks = (event: FailoverHookEvent) => Promise<void>;
