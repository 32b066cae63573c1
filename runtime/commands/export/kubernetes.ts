import { z } from "zod";
import { exportKubernetes as writeManifests } from "../../workflows/export/export-kubernetes.ts";
import { type CommandDefinition, exitCodesHelp } from "../shared/command.ts";
import { listOf } from "../shared/fields.ts";
import { namedSettings } from "../shared/named-settings.ts";
import { type ExportedFilesAnswer, exportedFiles, textOfFiles } from "./exported-files.ts";

interface Options {
  readonly folder: string;
  readonly settings?: string;
}

const answer = exportedFiles.extend({
  namespace: z.string().describe("namespace of the jobs"),
  cronJobs: listOf(z.string()).describe("names of the CronJobs"),
});

export const exportKubernetes: CommandDefinition<Options, z.infer<typeof answer>> = {
  name: "export kubernetes",
  summary: "write the jobs of a settings file as Kubernetes manifests, for a cluster that no Pulumi declares",
  answer,
  configure: (command) =>
    command
      .argument("<folder>", "where to write them")
      .option("--settings <file>", "the settings file; otherwise QDRANT_DR_SETTINGS, or qdrant-dr.yaml here")
      .addHelpText(
        "after",
        `${exitCodesHelp([2, "wrong option, a setting that pods cannot use, or the folder cannot be written"], [11, "files stand in the way that this never wrote"])}

They are the CronJobs, accounts, Secrets and network policies that a stack declares. Apply them with \`kubectl apply -f <folder>/manifests\`.
3-secrets.yaml holds keys in the clear; only you may read the files. Keep it out of version control, or seal it with your own tool.
Run it again after an update or a change of settings. A file that you changed stays; its text of now is written beside it, as NAME.new.`,
      ),
  async run(deps, options) {
    const { path, settings } = await namedSettings(deps, options);
    const { region } = await deps.access(undefined, { settings: path });
    const folder = deps.textFiles(options.folder, { isPrivate: true });
    const report = await writeManifests({ file: path, settings, region, folder });
    const files: ExportedFilesAnswer = {
      folder: options.folder,
      written: [...report.written],
      unchanged: [...report.unchanged],
      kept: [...report.kept],
    };
    const json = { ...files, namespace: report.namespace, cronJobs: [...report.cronJobs] };
    return { json, text: [textOfFiles(files), `Then: kubectl apply -f ${options.folder}/manifests`].join("\n") };
  },
};
