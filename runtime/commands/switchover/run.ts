import type { Deps } from "../../composition/deps.ts";
import { peerOf } from "../../domain/region.ts";
import { switchOver } from "../../workflows/failover/fail-over.ts";
import { planSwitchover } from "../../workflows/failover/plan-failover.ts";
import { prepareSwitchover } from "../../workflows/failover/prepare-role-change.ts";
import { type CommandDefinition, exitCodesHelp } from "../shared/command.ts";
import { type KeptRoleChange, withEvidence } from "../shared/failover-evidence.ts";
import { goesOn, type RunOptions, roleChangeOf, runOptions, switchoverExitCodes } from "../shared/role-change.ts";
import { describeRoleChange, type RoleChangeAnswer, roleChangeAnswer } from "../shared/role-change-answer.ts";

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

async function runSwitchover(deps: Deps, options: RunOptions): Promise<KeptRoleChange> {
  const session = await deps.access(options.to, options);
  const change = await roleChangeOf(deps, session, options);
  const prepared = await prepareSwitchover(change, await deps.access(peerOf(session.region), options));
  return withEvidence(deps, prepared, options.report, async (request) =>
    switchOver(request, await planSwitchover(request)),
  );
}
