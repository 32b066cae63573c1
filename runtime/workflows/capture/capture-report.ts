/** What a capture did. */
import type { CapturePart, CapturePlan } from "../../domain/recovery-points/capture-plan.ts";
import { missingFrom } from "../../domain/recovery-points/missing.ts";
import {
  type CaptureType,
  isExact,
  type Missing,
  type RecoveryPoint,
} from "../../domain/recovery-points/recovery-point.ts";

export interface CaptureReport {
  readonly recoveryPoint: string;
  readonly type: CaptureType;
  readonly time: string;
  readonly collections: number;
  readonly folders: number;
  readonly points: number;
  readonly isExact: boolean;
  /** What could not be read. */
  readonly missing: readonly Missing[];
  /** Collections that were left out on purpose. */
  readonly excluded: readonly string[];
  /** What this worker read and stored. */
  readonly readBytes: number;
  readonly storedBytes: number;
  readonly seconds: number;
  /** False when other workers have not done their parts: the last of them commits; and when nothing changed, and nothing was asked to be committed then. */
  readonly isCommitted: boolean;
  /** Nothing changed since the last recovery point: `recoveryPoint` is that one, and it was still true at `time`. */
  readonly isUnchanged?: true;
}

export interface CaptureOutcome {
  readonly recoveryPoint: RecoveryPoint;
  /** The recovery point was there already. */
  readonly isUnchanged: boolean;
}

/** @param outcome undefined while other workers have not done their parts. */
export function reportOf(
  plan: CapturePlan,
  part: CapturePart,
  outcome: CaptureOutcome | undefined,
  seconds: number,
): CaptureReport {
  const { readBytes, storedBytes } = part;
  const work = { type: plan.type, readBytes, storedBytes, seconds };
  if (outcome === undefined) {
    return {
      ...work,
      recoveryPoint: plan.recoveryPoint,
      time: plan.at,
      collections: plan.collections.length,
      folders: plan.folders.length,
      points: 0,
      isExact: false,
      missing: [...missingFrom(plan), ...missingFrom(part)],
      excluded: plan.excluded ?? [],
      isCommitted: false,
    };
  }
  const { isUnchanged, recoveryPoint } = outcome;
  return {
    ...work,
    recoveryPoint: recoveryPoint.id,
    time: recoveryPoint.time,
    collections: recoveryPoint.collections.length,
    folders: recoveryPoint.folders.length,
    points: recoveryPoint.collections.reduce((sum, { pointsAfter }) => sum + pointsAfter, 0),
    isExact: isExact(recoveryPoint),
    missing: missingFrom(recoveryPoint),
    excluded: recoveryPoint.excluded ?? [],
    isCommitted: !isUnchanged,
    ...(isUnchanged ? { isUnchanged } : {}),
  };
}
