/** One kind of data that a restore brings back. */
import type { Missing, RecoveryPoint } from "../../domain/recovery-points/recovery-point.ts";
import type { RegionSession } from "../../workflows/region-session.ts";
import type { Answer } from "../shared/command.ts";
import type { PlannedPart, RestoredPart } from "./answer.ts";

export interface RestoreSources {
  readonly session: RegionSession;
  readonly repository: Awaited<ReturnType<RegionSession["repository"]>>;
  readonly recoveryPoint: RecoveryPoint;
}

/** Planned before anything is touched; `run` does it. */
export interface RestorePart {
  readonly planned: Answer<PlannedPart>;
  /** What the recovery point holds and the target cannot: all else is restored. */
  readonly impossible?: readonly Missing[];
  run(): Promise<Answer<RestoredPart>>;
}
