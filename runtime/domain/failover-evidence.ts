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
  /** The steps that were finished. */
  readonly steps: readonly TimedStep[];
  readonly outcome:
    | {
        readonly isDone: true;
        readonly from: string;
        readonly epoch: number;
        /** The recovery point that is served. */
        readonly recoveryPoint: string;
        /** Writes acknowledged in so many seconds may be lost. */
        readonly dataLossSeconds: number;
        readonly isExact: boolean;
        readonly isWarm: boolean;
        /** Collections that are not served, because no capture could read them; absent in evidence of before. */
        readonly absent?: readonly string[] | undefined;
        readonly points: number;
        /** A step compared the region with what the source answered. */
        readonly isVerified: boolean;
        /** Seconds in which no region took writes; absent unless this run was a switchover and wrote the fence. */
        readonly pauseSeconds?: number | undefined;
      }
    | { readonly isDone: false; readonly code: string; readonly message: string; readonly hint?: string | undefined };
}
