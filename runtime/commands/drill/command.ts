import { z } from "zod";
import type { Deps } from "../../composition/deps.ts";
import { DrError, toDrError } from "../../errors.ts";
import { prepareSwitchover } from "../../workflows/failover/prepare-failover.ts";
import { type CommandDefinition, exitCodesHelp } from "../shared/command.ts";
import { failOverWithEvidence, type KeptFailover, returnReportPath } from "../shared/failover-evidence.ts";
import { goesOn, type RunOptions, roleChangeOf, runOptions, switchoverExitCodes } from "../shared/role-change.ts";
import { describeRoleChange, roleChangeAnswer } from "../shared/role-change-answer.ts";

const answer = z.strictObject({
  there: roleChangeAnswer.describe("the switchover to the region"),
  back: roleChangeAnswer.describe("the switchover back"),
});

export const drill: CommandDefinition<RunOptions, z.infer<typeof answer>> = {
  name: "drill",
  summary: "rehearse: a switchover to the other region, and another one back",
  answer,
  configure: (command) => runOptions(command).addHelpText("after", `${exitCodesHelp(...switchoverExitCodes)}${goesOn}`),
  async run(deps, options) {
    const there = await switchOver(deps, options);
    const back = await goBack(deps, there, options);
    const [first, second] = [describeRoleChange(there), describeRoleChange(back)];
    return { json: { there: first.json, back: second.json }, text: [first.text, second.text].join("\n") };
  },
};

async function switchOver(deps: Deps, options: RunOptions): Promise<KeptFailover> {
  const session = await deps.access(options.to, options);
  const change = await roleChangeOf(deps, session, options);
  const request = await prepareSwitchover(change, await deps.access(session.region.peer, options));
  return failOverWithEvidence(deps, request, options.report);
}

async function goBack(
  deps: Deps,
  { report: { from, region } }: KeptFailover,
  { report, ...options }: RunOptions,
): Promise<KeptFailover> {
  const page = returnReportPath(report);
  try {
    return await switchOver(deps, { ...options, to: from, ...(page === undefined ? {} : { report: page }) });
  } catch (error) {
    const { code, message } = toDrError(error);
    throw new DrError(code, `${region} is active, and the way back failed: ${message}`, {
      hint: `when that is mended, \`qdrant-dr switchover run --to ${from}\` ends the drill`,
      cause: error,
    });
  }
}
