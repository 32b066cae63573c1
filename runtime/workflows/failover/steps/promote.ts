import { DrError } from "../../../errors.ts";
import type { RoleChangeRequest } from "../request.ts";
import type { Step, StepContext } from "./step.ts";
import { summariseUpdate } from "./summarise-update.ts";

interface PromoteContext extends Pick<StepContext, "plan"> {
  readonly request: Pick<RoleChangeRequest, "stack" | "stacks" | "progress">;
}

/** Clients are served already; the stack converges to what is true, however long it takes. */
export const promote: Step<PromoteContext> = {
  name: "promote",
  title: "Promote the stack (pulumi up)",
  repeat: "once",
  async probe({ request: { stacks } }) {
    return stacks === undefined ? "no stack declares the region" : undefined;
  },
  async run({ request: { progress, stack, stacks } }) {
    if (stacks === undefined) return undefined;
    const { changes } = await stacks.up(stack, ({ text }) => progress({ step: "promote", detail: text }));
    return summariseUpdate(changes);
  },
  async verify({ plan, request: { stack, stacks } }) {
    if (stacks === undefined) return undefined;
    const { epoch, role } = await stacks.region(stack);
    if (role === "active" && epoch === plan.epoch) return undefined;
    throw new DrError("PULUMI_FAILED", `after the update stack ${stack} is ${role} in epoch ${epoch}`);
  },
};
