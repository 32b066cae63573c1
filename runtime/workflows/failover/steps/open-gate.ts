import { DrError } from "../../../errors.ts";
import type { GateState } from "../../../ports/gate.ts";
import type { VectorDatabase } from "../../../ports/qdrant.ts";
import { readOpening, writeOpening } from "../../../repository/control/gate-records.ts";
import type { OpenRepository, RegionStores } from "../../../repository/repository.ts";
import { waitUntil } from "../../../time/wait-until.ts";
import { enableOptimizers } from "../../replicate/enable-optimizers.ts";
import type { RoleChangeRequest } from "../request.ts";
import type { Step, StepContext } from "./step.ts";

/** How long a gate may take to see what the records say; it looks when it is asked. */
const opensWithinMs = 30_000;
const pollMs = 100;

interface OpenContext extends Pick<StepContext, "plan" | "findings"> {
  readonly request: Pick<RoleChangeRequest, "clock" | "gate" | "run"> & {
    readonly database: Pick<VectorDatabase, "describe" | "setOptimizationThreads">;
    readonly repository: Pick<OpenRepository, "readFacts"> & { readonly stores: Pick<RegionStores, "control"> };
  };
}

export const openGate: Step<OpenContext> = {
  name: "open",
  title: "Open the gate",
  repeat: "always",
  async run({ findings, plan, request }) {
    const { clock, database, repository, run } = request;
    const { followed, recoveryPoint } = findings.serveFrom;
    // Clients have written since, and may have deleted collections.
    const opening = await readOpening(repository.stores.control, plan.epoch);
    if (opening !== undefined) return "opened by an earlier run";
    // Until then the other region may take writes.
    const leftMs = (findings.leaseEndsAtMs ?? clock.monotonic()) - clock.monotonic();
    if (leftMs > 0) await clock.sleep(leftMs);
    // A standby that follows a journal optimizes all the time, and may hold other collections by now.
    if (followed === undefined) await enableOptimizers({ recoveryPoint, repository, target: database });
    await writeOpening(repository.stores.control, {
      epoch: plan.epoch,
      region: plan.region,
      run,
      recoveryPoint: recoveryPoint.id,
      at: clock.now().toISOString(),
    });
    return undefined;
  },
  async verify({ findings, plan, request: { clock, gate } }) {
    const { epoch, region } = plan;
    if (gate !== undefined) {
      let last: GateState | undefined;
      const what = `the gate of ${region} to open`;
      const expired = () => staysClosed(region, last);
      await waitUntil(clock, { what, withinMs: opensWithinMs, everyMs: pollMs, expired }, async () => {
        last = await gate.look();
        return last.isOpen && last.epoch === epoch;
      });
    }
    findings.openedAtMs = clock.monotonic();
    return gate === undefined ? "this region has no gate" : `open in epoch ${epoch}`;
  },
};

function staysClosed(region: string, last: GateState | undefined): DrError {
  return new DrError("UNREACHABLE", `the gate of ${region} stays closed: ${last?.reason ?? "it was not asked"}`, {
    hint: "make its control store readable for it, then run this again",
  });
}
