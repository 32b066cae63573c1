/** The evidence of one drill, for auditors; also kept when the drill failed. */
import type { TimedStep } from "./timed-step.ts";

/** What a drill found. */
export interface DrillFindings {
  /** The region that would have been lost. */
  readonly from: string;
  readonly recoveryPoint: string;
  /** From the command until the gate is open; with the wait for a lease, which nothing shortens. */
  readonly rtoSeconds: number;
  /** Writes acknowledged in so many seconds would have been lost in a failover at the start of the drill. */
  readonly rpoSeconds: number;
  readonly isExact: boolean;
  /** The region's Qdrant holds the recovery point, and so did the throwaway one before time was taken. */
  readonly isWarm: boolean;
  readonly absent: readonly string[];
  readonly points: number;
  /** Searches by the index that found points. */
  readonly searches: number;
  readonly slowestSearchMs: number;
  /** What a failover does beside, and the drill does not: its time is not among the seconds. */
  readonly notRehearsed: readonly string[];
}

export interface DrillEvidence {
  readonly format: 1;
  /** The region whose promotion was rehearsed. */
  readonly region: string;
  readonly toolVersion: string;
  readonly startedAt: string;
  readonly endedAt: string;
  /** The steps that were finished. */
  readonly steps: readonly TimedStep[];
  /** What the region promises. */
  readonly objectives: { readonly rtoMinutes: number; readonly rpoMinutes: number };
  readonly outcome:
    | ({ readonly isDone: true } & DrillFindings)
    | { readonly isDone: false; readonly code: string; readonly message: string; readonly hint?: string | undefined };
}

/** What a drill found to be longer than the region promises, in words. */
export function missedObjectives(
  { rpoSeconds, rtoSeconds }: Pick<DrillFindings, "rpoSeconds" | "rtoSeconds">,
  { rpoMinutes, rtoMinutes }: DrillEvidence["objectives"],
): string[] {
  return [
    ...(rtoSeconds <= rtoMinutes * 60
      ? []
      : [`clients would be served after ${Math.ceil(rtoSeconds)} s, and ${rtoMinutes} min are promised`]),
    ...(rpoSeconds <= rpoMinutes * 60
      ? []
      : [`${Math.ceil(rpoSeconds)} s of writes would be lost, and ${rpoMinutes} min are promised at most`]),
  ];
}
