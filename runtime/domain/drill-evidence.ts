/** The evidence of one drill, for auditors; also kept when the drill failed. */
import type { TimedStep } from "./timed-step.ts";

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
    | {
        readonly isDone: true;
        readonly from: string;
        readonly recoveryPoint: string;
        readonly rtoSeconds: number;
        readonly rpoSeconds: number;
        readonly isExact: boolean;
        readonly isWarm: boolean;
        readonly absent: readonly string[];
        readonly points: number;
        readonly searches: number;
        readonly slowestSearchMs: number;
        readonly notRehearsed: readonly string[];
      }
    | { readonly isDone: false; readonly code: string; readonly message: string; readonly hint?: string | undefined };
}

/** What a drill found to be longer than the region promises, in words. */
export function missedObjectives(
  { rpoSeconds, rtoSeconds }: { readonly rpoSeconds: number; readonly rtoSeconds: number },
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
