/** A step of a run that is over: when it began, and what came out of it. */
export interface TimedStep {
  /** Stable name for programs: `provision`, `load`, `capture-full`, … */
  readonly name: string;
  /** The step's name for people. */
  readonly title: string;
  readonly startedAt: string;
  readonly seconds: number;
  /** One sentence with what came out of it. */
  readonly detail: string;
}
