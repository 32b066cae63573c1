import { readOpening } from "../../../repository/control/gate-records.ts";
import { verifyApplied, wholeRecoveryPoint } from "../../apply/verify-applied.ts";
import type { Step, StepContext } from "./step.ts";

export const verify: Step<StepContext> = {
  name: "verify",
  title: "Compare with what the source answered",
  repeat: "once",
  async probe({ findings, plan, request }) {
    if (plan.kind !== "switchover" && findings.serveFrom.followed !== undefined) {
      return "the journal tells results, which were applied in their order: no recovery point holds the same";
    }
    // With the gate of the other region closed.
    if (plan.kind === "switchover") return `compared with ${plan.from} before the epoch was claimed`;
    // Clients may have written here since: it need not be as captured any more.
    const opening = await readOpening(request.repository.stores.control, plan.epoch);
    return opening === undefined ? undefined : "opened by an earlier run";
  },
  async run({ findings, request: { clock, database, repository } }) {
    const { recoveryPoint } = findings.serveFrom;
    const whole = await wholeRecoveryPoint(repository, recoveryPoint);
    const proof = await verifyApplied({ clock, repository, target: database }, whole);
    findings.proof = proof;
    return `counts, ${proof.samples} sampled points and ${proof.canaries} canary queries are as captured`;
  },
};
