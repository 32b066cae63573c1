import { writeFence } from "../../../repository/control/gate-records.ts";
import type { Step, SwitchoverContext } from "./step.ts";

/** The fence closes the gate of the active region: no region takes writes until this one is open. */
export const fence: Step<SwitchoverContext> = {
  name: "fence",
  title: "Fence the active region",
  repeat: "always",
  async run({ findings, plan, request }) {
    const { active, clock, repository, run } = request;
    const fencedAtMs = clock.monotonic();
    const record = { epoch: plan.epoch, region: active.region, run, at: clock.now().toISOString() };
    // Here first: replication into this region stops by it, and the other region's gate may see it here, too.
    const stands = await writeFence(repository.stores.control, record);
    if (stands.run === run) findings.fencedAtMs = fencedAtMs;
    await writeFence(active.control, record);
    return `${active.region} is fenced for epoch ${plan.epoch}`;
  },
};
