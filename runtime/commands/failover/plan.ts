import { forecastRoleChange } from "../../workflows/failover/forecast-role-change.ts";
import { type CommandDefinition, exitCodesHelp } from "../shared/command.ts";
import { describeForecast } from "../shared/plan-text.ts";
import { planExitCodes, type TargetOptions, targetOption } from "../shared/role-change.ts";
import { type PlanAnswer, planAnswer } from "../shared/role-change-answer.ts";

interface Options extends TargetOptions {
  readonly recoveryPoint?: string;
  readonly althoughQuarantined?: boolean;
}

export const failoverPlan: CommandDefinition<Options, PlanAnswer> = {
  name: "failover plan",
  summary: "what a failover would do, how much it would lose and what stands in its way; changes nothing",
  answer: planAnswer,
  configure: (command) =>
    targetOption(command)
      .option("--recovery-point <id>", "another recovery point than the newest")
      .option("--although-quarantined", "that recovery point although it is quarantined")
      .addHelpText("after", exitCodesHelp(...planExitCodes)),
  async run(deps, options) {
    return describeForecast(
      await forecastRoleChange({
        kind: "failover",
        session: await deps.access(options.to, options),
        recoveryPoint: options.recoveryPoint,
        althoughQuarantined: options.althoughQuarantined,
        clock: deps.clock,
      }),
    );
  },
};
