/** An event of progress, for a person or a program. */
export type Progress = (event: ProgressEvent) => void;

export interface ProgressEvent {
  readonly step: string;
  readonly detail?: string;
  /** How much of long work is done, `seconds` after it began. */
  readonly amount?: {
    readonly bytes: number;
    readonly done: number;
    readonly total: number;
    /** The unit of `done` and `total`. */
    readonly unit: string;
    readonly seconds: number;
  };
}
