import { DrError } from "../../../errors.ts";
import type { RoleChangeRequest } from "../request.ts";
import type { Step, StepContext } from "./step.ts";

interface TrafficContext extends Pick<StepContext, "plan"> {
  readonly request: Pick<RoleChangeRequest, "traffic">;
}

export const moveTraffic: Step<TrafficContext> = {
  name: "traffic",
  title: "Lead clients here",
  repeat: "always",
  async probe({ request }) {
    if (request.traffic !== undefined) return undefined;
    return "no public name to move: clients follow what their health checks of the gates say";
  },
  async run({ plan, request }) {
    await request.traffic?.pointTo({ region: plan.region, epoch: plan.epoch });
    return undefined;
  },
  async verify({ plan, request }) {
    const current = await request.traffic?.current();
    if (current?.region === plan.region) return `the endpoint leads to ${plan.region}`;
    throw new DrError("EPOCH_CONFLICT", `the endpoint leads to ${current?.region ?? "no region"}`, {
      hint: "another role change moved it; `qdrant-dr status` shows the roles",
    });
  },
};
