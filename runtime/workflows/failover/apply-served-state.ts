/** The one place where a role change calls the engine that makes a Qdrant hold a recovery point. */
import { type CatchUpReport, type CatchUpRequest, catchUp, planCatchUp } from "../replicate/catch-up.ts";
import type { RoleChangePlan, ServableState } from "./plan-failover.ts";
import type { RoleChangeRequest } from "./request.ts";

/** Throws what `applyServedState` would throw before it changes anything. */
export async function checkServedState(
  request: RoleChangeRequest,
  plan: RoleChangePlan,
  state: ServableState,
): Promise<void> {
  await planCatchUp(engineRequest(request, plan, state));
}

export function applyServedState(
  request: RoleChangeRequest,
  plan: RoleChangePlan,
  state: ServableState,
): Promise<CatchUpReport> {
  return catchUp(engineRequest(request, plan, state));
}

function engineRequest(
  { clock, database, progress, repository }: RoleChangeRequest,
  { epoch, kind, region }: RoleChangePlan,
  { asOf, recoveryPoint }: ServableState,
): CatchUpRequest {
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
