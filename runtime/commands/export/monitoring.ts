import { dirname } from "node:path";
import { InvalidArgumentError } from "commander";
import { z } from "zod";
import type { Deps, RegionOptions } from "../../composition/deps.ts";
import { type ReceiverKind, receiverKinds } from "../../domain/monitoring/alertmanager.ts";
import { regionOfSettings } from "../../domain/region-of-settings.ts";
import { exportMonitoring as writeMonitoring } from "../../workflows/monitoring/export-monitoring.ts";
import { type CommandDefinition, exitCodesHelp, parseNames, regionOptions } from "../shared/command.ts";
import { exportedFiles, textOfFiles } from "./exported-files.ts";

interface Options extends RegionOptions {
  readonly folder: string;
  readonly stack?: string;
  readonly receivers: readonly ReceiverKind[];
  readonly target?: string;
  readonly runbooks?: string;
}

const answer = exportedFiles.extend({
  knowsSchedules: z.boolean().describe("false: alerts judge what is late by the usual schedules"),
});

export const exportMonitoring: CommandDefinition<Options, z.infer<typeof answer>> = {
  name: "export monitoring",
  summary: "write Prometheus rules, Grafana dashboards and Alertmanager's configuration as plain files",
  answer,
  configure: (command) =>
    regionOptions(command.argument("<folder>", "where to write them"))
      .option("--stack <name>", "stack of the region, where no settings file is")
      .option(
        "--receivers <kinds>",
        `who is told, of ${receiverKinds.join(", ")}; separated by commas`,
        parseReceivers,
        [...receiverKinds],
      )
      .option("--target <host:port>", "where Prometheus reaches `serve` or `exporter`; on this machine when left out")
      .option("--runbooks <url>", "where your people read docs/operations/runbooks")
      .addHelpText(
        "after",
        `${exitCodesHelp([2, "wrong option, or the folder cannot be written"], [11, "files stand in the way that this never wrote"])}

Run it again after an update or a change of schedules. A file that you changed stays; its text of now is written beside it, as NAME.new.
No secret is in any file: Alertmanager reads each from a file of its own.`,
      ),
  async run(deps, options) {
    const { receivers, runbooks, target } = options;
    const folder = deps.textFiles(options.folder);
    const report = await writeMonitoring({ ...(await findRegion(deps, options)), folder, receivers, runbooks, target });
    const json = {
      ...report,
      folder: options.folder,
      written: [...report.written],
      unchanged: [...report.unchanged],
      kept: [...report.kept],
    };
    return { json, text: describe(json) };
  },
};

/** What a settings file says needs no secret to be known. */
async function findRegion(deps: Deps, options: Options) {
  const namesStack = [options.stack, options.outputs, options.estate].some((each) => each !== undefined);
  const file = namesStack && options.settings === undefined ? undefined : await deps.settings(options);
  if (file === undefined) return { region: (await deps.access(options.stack, options)).region };
  return { region: regionOfSettings(file.settings, dirname(file.path), {}), settings: file.settings };
}

function describe({ knowsSchedules, ...files }: z.infer<typeof answer>): string {
  return [
    textOfFiles(files),
    ...(knowsSchedules ? [] : ["The outputs tell no schedules: what is late is judged by the usual ones."]),
  ].join("\n");
}

function parseReceivers(text: string): ReceiverKind[] {
  return [...new Set(parseNames(text))].map((name) => {
    const kind = receiverKinds.find((known) => known === name);
    if (kind === undefined) throw new InvalidArgumentError(`It must be of ${receiverKinds.join(", ")}.`);
    return kind;
  });
}
