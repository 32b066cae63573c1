import { z } from "zod";
import type { RegionOptions } from "../../composition/deps.ts";
import { formatBytes, formatCount } from "../../domain/format.ts";
import { peerOf } from "../../domain/region.ts";
import { copyRecoveryPoints } from "../../workflows/copy/copy-recovery-points.ts";
import { recordedRun } from "../../workflows/recorded-run.ts";
import { type CommandDefinition, exitCodesHelp, parseInstant, regionOptions } from "../shared/command.ts";
import { bytes, count, listOf, recoveryPointId } from "../shared/fields.ts";

interface Options extends RegionOptions {
  readonly from?: string;
  readonly to?: string;
  readonly since?: Date;
}

const answer = z.strictObject({
  copied: listOf(recoveryPointId).describe("ids of the recovery points that were copied"),
  skipped: listOf(recoveryPointId).describe(
    "ids of recovery points that would be wanted, are not complete in the source, and cannot be copied",
  ),
  unwanted: count.describe(
    "recovery points of the source that were listed, and that the destination's retention does not want",
  ),
  objects: count.describe("objects that were written"),
  bytes,
});

export const copy: CommandDefinition<Options, z.infer<typeof answer>> = {
  name: "copy",
  summary: "bring the recovery points of one region's bucket into the other's, and read them back there",
  answer,
  configure: (command) =>
    regionOptions(command)
      .option("--from <stack>", "stack whose recovery points are copied; left out: the peer of the other")
      .option("--to <stack>", "stack whose bucket receives them; left out: the region of the settings file")
      .option(
        "--since <time>",
        "leave out what was captured before; left out: as far back as the destination's retention reaches",
        parseInstant,
      )
      .addHelpText(
        "after",
        exitCodesHelp(
          [5, "a bucket does not answer, or refuses access"],
          [10, "a copied recovery point is not complete there"],
          [12, "an object does not hold what its name says"],
        ),
      ),
  async run(deps, options) {
    const to = await deps.access(options.to, options);
    const from = await deps.access(options.from ?? peerOf(to.region), options);
    return recordedRun({ ...deps, session: to, run: "copy" }, async () => {
      const report = await copyRecoveryPoints(await from.repository(), to, deps.progress, deps.clock, {
        since: options.since,
      });
      const skipped =
        report.skipped.length === 0
          ? ""
          : `\n  not copied, not complete in ${from.region.region}: ${report.skipped.join(", ")}`;
      const unwanted =
        report.unwanted === 0
          ? ""
          : `\n  not copied, not wanted by the retention of ${to.region.region}: ${formatCount(report.unwanted)}`;
      const text = `${formatCount(report.copied.length)} recovery points copied to ${to.region.region}: ${formatCount(report.objects)} objects, ${formatBytes(report.bytes)}${skipped}${unwanted}`;
      return { json: report, text };
    });
  },
};
