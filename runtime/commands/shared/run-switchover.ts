/** A switchover, as `switchover run` and both halves of a drill do it. */
import type { Deps } from "../../composition/deps.ts";
import { peerOf } from "../../domain/region.ts";
import { switchOver } from "../../workflows/failover/fail-over.ts";
import { planSwitchover } from "../../workflows/failover/plan-failover.ts";
import { prepareSwitchover } from "../../workflows/failover/prepare-role-change.ts";
import { type KeptRoleChange, withEvidence } from "./failover-evidence.ts";
import { type RunOptions, roleChangeOf } from "./role-change.ts";

export async function runSwitchover(deps: Deps, options: RunOptions): Promise<KeptRoleChange> {
  const session = await deps.access(options.to, options);
  const change = await roleChangeOf(deps, session, options);
  const prepared = await prepareSwitchover(change, await deps.access(peerOf(session.region), options));
  return withEvidence(deps, prepared, options.report, async (request) =>
    switchOver(request, await planSwitchover(request)),
  );
}
