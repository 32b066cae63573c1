import { type CommandDefinition, exitCodesHelp } from "../shared/command.ts";
import { goesOn, type RunOptions, runOptions, switchoverExitCodes } from "../shared/role-change.ts";
import { describeRoleChange, type RoleChangeAnswer, roleChangeAnswer } from "../shared/role-change-answer.ts";
import { runSwitchover } from "../shared/run-switchover.ts";

export const switchoverRun: CommandDefinition<RunOptions, RoleChangeAnswer> = {
  name: "switchover run",
  summary:
    "both regions live: fence the active one, bring its last writes over, make the other one active, lose nothing",
  answer: roleChangeAnswer,
  configure: (command) => runOptions(command).addHelpText("after", `${exitCodesHelp(...switchoverExitCodes)}${goesOn}`),
  async run(deps, options) {
    return describeRoleChange(await runSwitchover(deps, options));
  },
};
