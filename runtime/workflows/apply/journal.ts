/** How a run that applies a recovery point tells others what it does: whoever comes later goes on from what is written here. */

export interface AppliedState {
  /** Collections that were changed. */
  readonly touched: ReadonlySet<string>;
  readonly dropped: readonly string[];
}

export interface ApplyJournal {
  /**
   * To be awaited before the target is changed: whatever happens then, what was begun is recognised.
   * @param making collections that are about to be made.
   */
  begin(making: readonly string[]): Promise<void>;
  /** Says that what was begun goes on: called now and then. */
  heartbeat(): void;
  /** Says that clients may write to this collection from now on. */
  loaded(collection: string): void;
  /** Throws EPOCH_CONFLICT when another run took over, or may take this one for dead. */
  refuseUnlessMine(): Promise<void>;
  /** The target holds the recovery point, which was compared. */
  end(applied: AppliedState): Promise<void>;
  /** The run failed, and nothing that it made is left ("failed"), or only what may be in use and is not half-made ("kept"). */
  endInFailure(outcome: "failed" | "kept"): Promise<void>;
}
