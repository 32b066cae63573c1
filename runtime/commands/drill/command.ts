import { z } from "zod";
import type { Deps } from "../../composition/deps.ts";
import { DrError, toDrError } from "../../errors.ts";
import { type CommandDefinition, exitCodesHelp } from "../shared/command.ts";
import { type KeptRoleChange, returnReportPath } from "../shared/failover-evidence.ts";
import { goesOn, type RunOptions, runOptions, switchoverExitCodes } from "../shared/role-change.ts";
import { describeRoleChange, roleChangeAnswer } from "../shared/role-change-answer.ts";
import { runSwitchover } from "../shared/run-switchover.ts";

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
    const there = await runSwitchover(deps, options);
    const back = await goBack(deps, there, options);
    const [first, second] = [describeRoleChange(there), describeRoleChange(back)];
    return { json: { there: first.json, back: second.json }, text: [first.text, second.text].join("\n") };
  },
};

async function goBack(
  deps: Deps,
  { report: { from, region } }: KeptRoleChange,
  { report, ...options }: RunOptions,
): Promise<KeptRoleChange> {
  try {
    return await runSwitchover(deps, { ...options, to: from, report: returnReportPath(report) });
  } catch (error) {
    const { code, message } = toDrError(error);
    throw new DrError(code, `${region} is active, and the way back failed: ${message}`, {
      hint: `when that is mended, \`qdrant-dr switchover run --to ${from}\` ends the drill`,
      cause: error,
    });
  }
}
