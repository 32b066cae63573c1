/** What a person or a program is told while work goes on. */
export type Progress = (event: ProgressEvent) => void;

export interface ProgressEvent {
  readonly step: string;
  readonly detail?: string;
  /** How much of long work is done, `seconds` after it began. */
  readonly amount?: {
    readonly bytes: number;
    readonly done: number;
    readonly total: number;
    /** What `done` and `total` count. */
    readonly unit: string;
    readonly seconds: number;
  };
}
