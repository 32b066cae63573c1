/** The evidence of one run of a failover, for auditors; also kept when the run failed. */
import type { TimedStep } from "./timed-step.ts";

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
  readonly steps: readonly TimedStep[];
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
        /** Of a switchover: for so many seconds no region took writes. */
        readonly pauseSeconds?: number | undefined;
      }
    | { readonly isDone: false; readonly code: string; readonly message: string; readonly hint?: string | undefined };
}
