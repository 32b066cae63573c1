/** The one place where a role change calls the engine that makes a Qdrant hold a recovery point. */
import type { ApplyReport } from "../apply/apply-plan.ts";
import { applyToStandby, type StandbyApplyRequest } from "../replicate/apply-to-standby.ts";
import { planStandby } from "../replicate/plan-standby.ts";
import type { RoleChangePlan, ServableState } from "./plan-failover.ts";
import type { RoleChangeRequest } from "./request.ts";

/** Throws what `applyServedState` would throw before it changes anything. */
export async function checkServedState(
  request: RoleChangeRequest,
  plan: RoleChangePlan,
  state: ServableState,
): Promise<void> {
  await planStandby(engineRequest(request, plan, state));
}

export function applyServedState(
  request: RoleChangeRequest,
  plan: RoleChangePlan,
  state: ServableState,
): Promise<ApplyReport> {
  return applyToStandby(engineRequest(request, plan, state));
}

function engineRequest(
  { clock, database, progress, repository }: RoleChangeRequest,
  { epoch, kind, region }: RoleChangePlan,
  { asOf, recoveryPoint }: ServableState,
): StandbyApplyRequest {
  return {
    repository,
    region,
    recoveryPoint,
    target: database,
    asOf,
    // Nothing of another's was here when the epoch was claimed: what an earlier run left half-made is made again.
    existing: kind === "resume" ? "replace" : "refuse",
    compare: "changed",
    failover: epoch,
    clock,
    progress,
  };
}
