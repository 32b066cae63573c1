import { verifyApplied, wholeRecoveryPoint } from "../../apply/verify-applied.ts";
import type { Step, StepContext } from "./step.ts";

export const verify: Step<StepContext> = {
  name: "verify",
  title: "Compare with what the source answered",
  repeat: "once",
  async probe({ plan }) {
    // With the gate of the other region closed.
    return plan.kind === "switchover" ? `compared with ${plan.from} before the epoch was claimed` : undefined;
  },
  async run({ findings, request: { clock, database, repository } }) {
    const { recoveryPoint } = findings.serveFrom;
    const proof = await verifyApplied({ clock, repository, target: database }, wholeRecoveryPoint(recoveryPoint));
    findings.proof = proof;
    return `counts, ${proof.samples} sampled points and ${proof.canaries} canary queries are as captured`;
  },
};
