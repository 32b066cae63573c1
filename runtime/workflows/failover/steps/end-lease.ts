import { formatSeconds } from "../../../domain/format.ts";
import { newestEpoch } from "../../../domain/roles/epoch.ts";
import { leaseEndsAfter } from "../../../domain/roles/gate.ts";
import type { ObjectStore } from "../../../ports/object-store.ts";
import { readEpochs } from "../../../repository/control/epochs.ts";
import { endLease } from "../../../repository/control/lease.ts";
import type { RegionStores } from "../../../repository/repository.ts";
import { modeOf } from "../plan-failover.ts";
import type { RoleChangeRequest } from "../request.ts";
import type { Step, StepContext } from "./step.ts";

interface LeaseContext extends Pick<StepContext, "plan" | "findings"> {
  readonly request: Pick<RoleChangeRequest, "clock" | "witness"> & {
    readonly repository: { readonly stores: Pick<RegionStores, "control"> };
  };
}

/** After a failover only: a switchover has seen the other region's gate closed and empty. */
export const endLeaseStep: Step<LeaseContext> = {
  name: "lease",
  title: "End the lease of the lost region",
  repeat: "always",
  applies: ({ plan, request }) => request.witness !== undefined && modeOf(plan) === "failover",
  async run({ findings, plan, request: { clock, repository, witness } }) {
    const leases = required(witness);
    const first = await servesSince(repository.stores.control, plan.epoch);
    let seconds = 0;
    for (let epoch = first; epoch < plan.epoch; epoch += 1) {
      seconds = Math.max(seconds, await endLease(leases, epoch, plan.region, clock));
    }
    if (seconds === 0) return "it held none";
    findings.leaseEndsAtMs = clock.monotonic() + 1000 * leaseEndsAfter(seconds);
    return `ended; what it held runs out in ${formatSeconds(seconds)} at the latest`;
  },
};

/**
 * The epoch that made the lost region the active one. It holds its lease for the newest epoch that it has seen: of those since,
 * which are aborted switchovers, it may have seen none.
 */
async function servesSince(control: ObjectStore, epoch: number): Promise<number> {
  const epochs = await readEpochs(control);
  const changes = epochs.filter((record) => record.epoch < epoch && record.reason !== "aborted");
  return newestEpoch(changes)?.epoch ?? epoch - 1;
}

function required(witness: ObjectStore | undefined): ObjectStore {
  if (witness === undefined) throw new Error("the gates work without leases");
  return witness;
}
