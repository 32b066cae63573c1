/** A failover and a switchover as their commands do them: planned, then done as planned. */
import { failOver, type RoleChangeReport, switchOver } from "../../../runtime/workflows/failover/fail-over.ts";
import { planFailover, planSwitchover } from "../../../runtime/workflows/failover/plan-failover.ts";
import type { FailoverRequest, SwitchoverRequest } from "../../../runtime/workflows/failover/request.ts";

export async function planAndFailOver(request: FailoverRequest): Promise<RoleChangeReport> {
  return failOver(request, await planFailover(request));
}

export async function planAndSwitchOver(request: SwitchoverRequest): Promise<RoleChangeReport> {
  return switchOver(request, await planSwitchover(request));
}
