/** The process that runs a workflow. */
export interface Runner {
  /** Identifies the process afterwards; undefined where nothing distinguishes it from others. */
  readonly mark: string | undefined;
  /** Whether it is certain that the one with this mark has ended; never a guess. */
  isDead(mark: string): boolean;
}
