import { z } from "zod";
import { peerOf } from "../../domain/region.ts";
import { abortSwitchover } from "../../workflows/failover/abort-switchover.ts";
import { type CommandDefinition, exitCodesHelp } from "../shared/command.ts";
import { count } from "../shared/fields.ts";
import { type TargetOptions, targetOption } from "../shared/role-change.ts";

const answer = z.strictObject({
  epoch: count.describe("the epoch that the switchover was going to make"),
  active: z.string().describe("the region that stays active in it"),
});

export const switchoverAbort: CommandDefinition<TargetOptions, z.infer<typeof answer>> = {
  name: "switchover abort",
  summary: "abort a switchover that did not end: the region that was active serves again",
  answer,
  configure: (command) =>
    targetOption(command).addHelpText(
      "after",
      exitCodesHelp(
        [2, "wrong option or stack, or no switchover is under way"],
        [5, "a control store does not answer"],
        [11, "the switchover has changed the active region already"],
      ),
    ),
  async run(deps, options) {
    const session = await deps.access(options.to, options);
    const openActive = () => deps.access(peerOf(session.region), options);
    const { active, epoch } = await abortSwitchover({ session, openActive, clock: deps.clock });
    return { json: { epoch, active }, text: `${active} stays the active region, in epoch ${epoch}` };
  },
};
