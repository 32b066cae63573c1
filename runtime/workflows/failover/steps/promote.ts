import { DrError, hasCode } from "../../../errors.ts";
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
    try {
      const { changes } = await stacks.up(stack, ({ text }) => progress({ step: "promote", detail: text }));
      return summariseUpdate(changes);
    } catch (error) {
      throw withoutPulumi(stack, error);
    }
  },
  async verify({ plan, request: { stack, stacks } }) {
    if (stacks === undefined) return undefined;
    const { epoch, role } = await stacks.region(stack);
    if (role === "active" && epoch === plan.epoch) return undefined;
    throw new DrError("PULUMI_FAILED", `after the update stack ${stack} is ${role} in epoch ${epoch}`);
  },
};

/** In a disaster the machine at hand may have no Pulumi. Clients are served all the same. */
function withoutPulumi(stack: string, error: unknown): unknown {
  if (!hasCode(error, "PART_MISSING", "NOT_SUPPORTED")) return error;
  return new DrError("PULUMI_FAILED", `clients are served, and stack ${stack} is not updated: ${error.message}`, {
    hint: "run it again where Pulumi and its state are: it goes on with the update",
    cause: error,
  });
}
