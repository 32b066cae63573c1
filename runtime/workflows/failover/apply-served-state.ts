/** The one place where a role change calls the engine that makes a Qdrant hold a recovery point. */
import { readStandbyState } from "../../repository/control/standby-records.ts";
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
  await planStandby(engineRequest(request, plan, state, "refuse"));
}

/** What an earlier run left half-made is made again. What somebody else made since the epoch was claimed is refused. */
export async function applyServedState(
  request: RoleChangeRequest,
  plan: RoleChangePlan,
  state: ServableState,
): Promise<ApplyReport> {
  const existing = (await holdsOwnPast(request, plan, state)) ? "replace" : "refuse";
  return applyToStandby(engineRequest(request, plan, state, existing));
}

/**
 * Whether an earlier run has made the region hold what is served, and that was captured in this region itself. The engine does not
 * go by such a record: the record of a region that stepped down looks alike.
 */
async function holdsOwnPast(
  { clock, repository }: RoleChangeRequest,
  { kind, region }: RoleChangePlan,
  { recoveryPoint }: ServableState,
): Promise<boolean> {
  if (kind !== "resume" || recoveryPoint.region !== region) return false;
  const held = await readStandbyState(repository.stores.control, clock.now());
  return held?.recoveryPoint === recoveryPoint.id;
}

function engineRequest(
  { clock, database, progress, repository }: RoleChangeRequest,
  { epoch, region }: RoleChangePlan,
  { asOf, recoveryPoint }: ServableState,
  existing: StandbyApplyRequest["existing"],
): StandbyApplyRequest {
  return {
    repository,
    region,
    recoveryPoint,
    target: database,
    asOf,
    existing,
    compare: "changed",
    failover: epoch,
    clock,
    progress,
  };
}
