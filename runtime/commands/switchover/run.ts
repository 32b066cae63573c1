import { prepareSwitchover } from "../../workflows/failover/prepare-failover.ts";
import { type CommandDefinition, exitCodesHelp } from "../shared/command.ts";
import { failOverWithEvidence } from "../shared/failover-evidence.ts";
import { goesOn, type RunOptions, roleChangeOf, runOptions, switchoverExitCodes } from "../shared/role-change.ts";
import { describeRoleChange, type RoleChangeAnswer, roleChangeAnswer } from "../shared/role-change-answer.ts";

export const switchoverRun: CommandDefinition<RunOptions, RoleChangeAnswer> = {
  name: "switchover run",
  summary:
    "both regions live: fence the active one, bring its last writes over, make the other one active, lose nothing",
  answer: roleChangeAnswer,
  configure: (command) => runOptions(command).addHelpText("after", `${exitCodesHelp(...switchoverExitCodes)}${goesOn}`),
  async run(deps, options) {
    const session = await deps.access(options.to, options);
    const change = await roleChangeOf(deps, session, options);
    const request = await prepareSwitchover(change, await deps.access(session.region.peer, options));
    return describeRoleChange(await failOverWithEvidence(deps, request, options.report));
  },
};
