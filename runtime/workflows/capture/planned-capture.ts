import type { CapturePlan } from "../../domain/recovery-points/capture-plan.ts";
import type { RecoveryPoint } from "../../domain/recovery-points/recovery-point.ts";
import type { CaptureBase } from "../../repository/catalog/read-catalog.ts";

/** A plan, with what it builds on. */
export interface PlannedCapture {
  readonly plan: CapturePlan;
  /** What this worker found in the repository. */
  readonly base: CaptureBase;
  /** The recovery point that the plan builds on. */
  readonly before: RecoveryPoint | undefined;
}
