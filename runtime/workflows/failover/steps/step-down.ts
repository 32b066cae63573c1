import type { RoleChangeRequest } from "../request.ts";
import type { Step, StepContext } from "./step.ts";
import { summariseUpdate } from "./summarise-update.ts";

interface StepDownContext extends Pick<StepContext, "plan"> {
  readonly request: Pick<RoleChangeRequest, "stacks" | "progress">;
}

export const stepDown: Step<StepDownContext> = {
  name: "step-down",
  title: "Step the other stack down (pulumi up)",
  repeat: "bestEffort",
  applies: ({ plan }) => plan.kind === "switchover" || (plan.kind === "resume" && plan.stepsDown),
  async probe({ request: { stacks } }) {
    return stacks === undefined ? "no stack declares the region" : undefined;
  },
  async run({ plan, request: { progress, stacks } }) {
    if (stacks === undefined) return undefined;
    const { changes } = await stacks.up(plan.from, ({ text }) => progress({ step: "step-down", detail: text }));
    return summariseUpdate(changes);
  },
};
