/** What runs a workflow. */
export interface Runner {
  /** By which it is known afterwards; undefined where nothing tells it apart. */
  readonly mark: string | undefined;
  /** Whether it is certain that the one with this mark has ended; never a guess. */
  isDead(mark: string): boolean;
}
