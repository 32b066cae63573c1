import type { RegionOptions } from "../compose.ts";
import { formatBytes, formatCount, formatSeconds } from "../domain/format.ts";
import { verifyPoint } from "../workflows/verify-point.ts";
import { type CommandDefinition, exitCodesHelp, regionOptions } from "./command.ts";
import { findPoint } from "./find-point.ts";
import { recordedRun } from "./recorded-run.ts";

interface Options extends RegionOptions {
  readonly stack: string;
  readonly point: string;
}

export const verify: CommandDefinition<Options> = {
  name: "verify",
  summary: "read every byte of a recovery point from a region's bucket, open it and compare it with its name",
  configure: (command) =>
    regionOptions(command)
      .requiredOption("--stack <name>", "stack whose bucket is read")
      .option("--point <id>", "a recovery point, or latest", "latest")
      .addHelpText(
        "after",
        exitCodesHelp(
          [5, "the bucket does not answer, or refuses access"],
          [10, "no such point, or it is not complete"],
          [12, "something is damaged"],
        ),
      ),
  async run(deps, options) {
    const access = await deps.access(options.stack, options);
    return recordedRun(deps, access, "verify", async () => {
      const repository = await access.repository();
      const point = await findPoint(repository, options.point, []);
      const report = await verifyPoint(repository, point, { ...deps, region: access.region.region });
      const text = `${report.point} is whole in ${options.stack}: ${formatCount(report.files)} files, ${formatBytes(report.bytes)} read in ${formatSeconds(report.seconds)}`;
      return { json: report, text };
    });
  },
};
