import type { RegionOptions } from "../compose.ts";
import { formatBytes, formatCount } from "../domain/format.ts";
import { copyPoints } from "../workflows/copy-points.ts";
import { type CommandDefinition, exitCodesHelp, regionOptions } from "./command.ts";
import { recordedRun } from "./recorded-run.ts";

interface Options extends RegionOptions {
  readonly from: string;
  readonly to: string;
}

export const copy: CommandDefinition<Options> = {
  name: "copy",
  summary: "bring the recovery points of one region's bucket into the other's, and read them back there",
  configure: (command) =>
    regionOptions(command)
      .requiredOption("--from <stack>", "stack whose points are copied")
      .requiredOption("--to <stack>", "stack whose bucket receives them")
      .addHelpText(
        "after",
        exitCodesHelp(
          [5, "a bucket does not answer, or refuses access"],
          [10, "a copied point is not complete there"],
          [12, "an object does not hold what its name says"],
        ),
      ),
  async run(deps, options) {
    const from = await deps.access(options.from, options);
    const to = await deps.access(options.to, options);
    return recordedRun(deps, to, "copy", async () => {
      const report = await copyPoints(await from.repository(), to, deps.progress);
      const skipped =
        report.skipped.length === 0
          ? ""
          : `\n  not copied, not complete in ${options.from}: ${report.skipped.join(", ")}`;
      const text = `${formatCount(report.copied.length)} points copied to ${options.to}: ${formatCount(report.objects)} objects, ${formatBytes(report.bytes)}${skipped}`;
      return { json: report, text };
    });
  },
};
