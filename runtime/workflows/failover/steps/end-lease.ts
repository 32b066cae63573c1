import { formatSeconds } from "../../../domain/format.ts";
import { leaseEndsAfter } from "../../../domain/roles/gate.ts";
import { endLease } from "../../../repository/control/lease.ts";
import { modeOf } from "../plan-failover.ts";
import type { RoleChangeRequest } from "../request.ts";
import type { Step, StepContext } from "./step.ts";

interface LeaseContext extends Pick<StepContext, "plan" | "findings"> {
  readonly request: Pick<RoleChangeRequest, "clock" | "witness">;
}

/** After a failover only: a switchover has seen the other region's gate closed and empty. */
export const endLeaseStep: Step<LeaseContext> = {
  name: "lease",
  title: "End the lease of the lost region",
  repeat: "always",
  applies: ({ plan, request }) => request.witness !== undefined && modeOf(plan) === "failover",
  async run({ findings, plan, request: { clock, witness } }) {
    if (witness === undefined) return "the gates work without leases";
    const seconds = await endLease(witness, plan.epoch - 1, plan.region, clock);
    if (seconds === 0) return "it held none";
    findings.leaseEndsAtMs = clock.monotonic() + 1000 * leaseEndsAfter(seconds);
    return `ended; what it held runs out in ${formatSeconds(seconds)} at the latest`;
  },
};
