import { readOpening } from "../../../repository/control/gate-records.ts";
import { applyServedState } from "../apply-served-state.ts";
import { drainJournal } from "../drain-journal.ts";
import type { Step, StepContext } from "./step.ts";

export const restore: Step<StepContext> = {
  name: "restore",
  title: "Make this region hold the recovery point",
  repeat: "once",
  async probe({ findings, plan, request }) {
    if (plan.kind === "switchover") {
      return `${findings.serveFrom.recoveryPoint.id}, brought here while ${plan.from} was closed`;
    }
    // Clients may write here since: nothing may be brought over that.
    const opening = await readOpening(request.repository.stores.control, plan.epoch);
    return opening === undefined ? undefined : "opened by an earlier run";
  },
  async run({ findings, plan, request }) {
    const { followed } = findings.serveFrom;
    if (followed !== undefined) return drainJournal(request, plan, followed);
    const { collections, shards } = await applyServedState(request, plan, findings.serveFrom);
    const { difference, kept, whole } = shards;
    return `${collections} collections: ${kept} shards held it, ${difference} were brought to it, ${whole} restored whole`;
  },
};
