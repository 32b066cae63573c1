import { peerOf } from "../../domain/region.ts";
import { failOver } from "../../workflows/failover/fail-over.ts";
import { planFailover } from "../../workflows/failover/plan-failover.ts";
import { prepareFailover } from "../../workflows/failover/prepare-role-change.ts";
import { type CommandDefinition, exitCodesHelp, parseNames, parseNumber } from "../shared/command.ts";
import { withEvidence } from "../shared/failover-evidence.ts";
import { failoverExitCodes, goesOn, type RunOptions, roleChangeOf, runOptions } from "../shared/role-change.ts";
import { describeRoleChange, type RoleChangeAnswer, roleChangeAnswer } from "../shared/role-change-answer.ts";

interface Options extends RunOptions {
  readonly acceptDataLoss: number;
  readonly acceptAbsent?: readonly string[];
  readonly recoveryPoint?: string;
  readonly althoughQuarantined?: boolean;
  readonly leaveFolders?: boolean;
}

export const failoverRun: CommandDefinition<Options, RoleChangeAnswer> = {
  name: "failover run",
  summary: "the active region is lost: make the other one active, from what it holds",
  answer: roleChangeAnswer,
  configure: (command) =>
    runOptions(command)
      .option(
        "--accept-data-loss <seconds>",
        "the most seconds of acknowledged writes that may be lost",
        parseNumber,
        0,
      )
      .option(
        "--accept-absent <collections>",
        "go on without these, which no capture could read and which are not here, separated by commas",
        parseNames,
      )
      .option("--recovery-point <id>", "another recovery point than the newest: what was acknowledged after it is lost")
      .option("--although-quarantined", "serve from that recovery point although it is quarantined")
      .option(
        "--leave-folders",
        "restore none on this machine, which is not the region's: `failover folders` does it there",
      )
      .addHelpText("after", `${exitCodesHelp(...failoverExitCodes)}${goesOn}`),
  async run(deps, options) {
    const session = await deps.access(options.to, options);
    const prepared = await prepareFailover(await roleChangeOf(deps, session, options), {
      acceptedDataLossSeconds: options.acceptDataLoss,
      acceptedAbsent: options.acceptAbsent,
      leaveFolders: options.leaveFolders,
      openLost: options.outputs === undefined ? () => deps.access(peerOf(session.region), options) : undefined,
    });
    const kept = await withEvidence(deps, prepared, options.report, async (request) =>
      failOver(
        request,
        await planFailover({
          ...request,
          recoveryPoint: options.recoveryPoint,
          althoughQuarantined: options.althoughQuarantined,
        }),
      ),
    );
    return describeRoleChange(kept);
  },
};
