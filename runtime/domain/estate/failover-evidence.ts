/** What one run of a failover did, for the records of those who must show it: kept also when it did not end well. */
import type { PracticeStep } from "../practice/practice-result.ts";

export interface FailoverEvidence {
  readonly format: 1;
  /** The region that was to be promoted. */
  readonly region: string;
  readonly mode: "switchover" | "failover";
  readonly run: string;
  readonly toolVersion: string;
  readonly startedAt: string;
  readonly endedAt: string;
  /** Those that were finished. */
  readonly steps: readonly PracticeStep[];
  readonly outcome:
    | {
        readonly isDone: true;
        readonly from: string;
        readonly epoch: number;
        /** The recovery point that is served. */
        readonly recoveryPoint: string;
        /** Seconds whose acknowledged writes may be lost. */
        readonly dataLossSeconds: number;
        readonly isExact: boolean;
        readonly isWarm: boolean;
        readonly points: number;
        /** Planned: for so long no region took writes. */
        readonly pauseSeconds?: number;
      }
    | { readonly isDone: false; readonly code: string; readonly message: string; readonly hint?: string };
}
