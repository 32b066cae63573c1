import { peerOf } from "../../domain/region.ts";
import { forecastRoleChange } from "../../workflows/failover/forecast-role-change.ts";
import { knowPeer } from "../../workflows/status/pair-member.ts";
import { type CommandDefinition, exitCodesHelp } from "../shared/command.ts";
import { describeForecast } from "../shared/plan-text.ts";
import { planExitCodes, type TargetOptions, targetOption } from "../shared/role-change.ts";
import { type PlanAnswer, planAnswer } from "../shared/role-change-answer.ts";

export const switchoverPlan: CommandDefinition<TargetOptions, PlanAnswer> = {
  name: "switchover plan",
  summary: "what a switchover would do and what stands in its way, in either region; changes nothing",
  answer: planAnswer,
  configure: (command) => targetOption(command).addHelpText("after", exitCodesHelp(...planExitCodes)),
  async run(deps, options) {
    const session = await deps.access(options.to, options);
    const peer = peerOf(session.region);
    return describeForecast(
      await forecastRoleChange({
        kind: "switchover",
        session,
        observeActive: () => knowPeer(peer, () => deps.access(peer, options)),
        clock: deps.clock,
      }),
    );
  },
};
