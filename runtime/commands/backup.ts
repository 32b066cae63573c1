import { Option } from "commander";
import type { RegionOptions } from "../compose.ts";
import { formatBytes, formatCount, formatSeconds } from "../domain/format.ts";
import { type CaptureType, captureTypes } from "../domain/recovery-point.ts";
import { capturePoint } from "../workflows/capture-point.ts";
import { type CommandDefinition, exitCodesHelp, regionOptions } from "./command.ts";

interface Options extends RegionOptions {
  readonly stack: string;
  readonly type: CaptureType;
  readonly allowEmpty?: boolean;
}

export const backup: CommandDefinition<Options> = {
  name: "backup",
  summary: "capture a recovery point of the active region into its bucket",
  configure: (command) =>
    regionOptions(command)
      .requiredOption("--stack <name>", "stack of the active region")
      .addOption(
        new Option("--type <type>", "full reads everything; incremental reads what changed since the last point")
          .choices(captureTypes)
          .default("incremental"),
      )
      .option("--allow-empty", "commit a point of an empty Qdrant, though the last point is not empty")
      .addHelpText(
        "after",
        exitCodesHelp(
          [2, "wrong option or setting"],
          [3, "the capture is not whole; nothing was committed"],
          [5, "a server does not answer, or refuses access"],
          [11, "the region is not the active one"],
        ),
      ),
  async run(deps, options) {
    const access = await deps.access(options.stack, options);
    const report = await capturePoint({
      region: access.region.region,
      type: options.type,
      database: access.database,
      repository: await access.repositoryForWriting(),
      clock: deps.clock,
      progress: deps.progress,
      toolVersion: deps.toolVersion,
      allowEmpty: options.allowEmpty ?? false,
    });
    const exactness = report.isExact
      ? "exact"
      : "not known to be exact: an optimization ran meanwhile, deletes since it began may be undone";
    const text = [
      `Recovery point ${report.point} (${report.type}) of ${report.time}`,
      `  ${formatCount(report.points)} points in ${formatCount(report.collections)} collections, ${exactness}`,
      `  ${formatBytes(report.readBytes)} read, ${formatBytes(report.storedBytes)} stored in ${formatSeconds(report.seconds)}`,
    ].join("\n");
    return { json: report, text };
  },
};
