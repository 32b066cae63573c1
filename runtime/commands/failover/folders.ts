import { z } from "zod";
import { foldersInWords } from "../../workflows/failover/restore-declared-folders.ts";
import { restoreFoldersAfterFailover } from "../../workflows/failover/restore-folders-after-failover.ts";
import { type CommandDefinition, exitCodesHelp, parseNames } from "../shared/command.ts";
import { count, kind, listOf, time } from "../shared/fields.ts";
import { type TargetOptions, targetOption } from "../shared/role-change.ts";
import { foldersLeft, foldersShortcoming } from "../shared/role-change-answer.ts";

interface Options extends TargetOptions {
  readonly names?: readonly string[];
}

const answer = z.strictObject({
  region: z.string().describe("the region that was promoted"),
  epoch: count.describe("the epoch of the failover"),
  restored: listOf(
    z.strictObject({
      kind,
      name: z.string(),
      path: z.string().describe("where it stands now"),
      recoveryPointTime: time,
      keptAs: z.string().optional().describe("under which path the former content is kept"),
    }),
  ).describe("folders that came back"),
  already: listOf(z.string()).describe("folders that an earlier run restored in this epoch"),
  foldersLeft,
});

export const failoverFolders: CommandDefinition<Options, z.infer<typeof answer>> = {
  name: "failover folders",
  summary: "after a failover: restore the configuration and user data that the region declares, each once",
  answer,
  configure: (command) =>
    targetOption(command)
      .option("--names <folders>", "only these, separated by commas", parseNames)
      .addHelpText(
        "after",
        `${exitCodesHelp([2, "wrong option or stack"], [5, "a store does not answer"], [11, "the region was not promoted by a failover"], [15, "a folder is not restored: it is named"])}

\`failover run\` does it where a settings file describes the region. In a cluster a Job does it, which sees the claims.
Of what the lost region captured last; what stands there is kept as <path>.before-<recovery point>.`,
      ),
  async run(deps, options) {
    const session = await deps.access(options.to, options);
    const { epoch, ...report } = await restoreFoldersAfterFailover({ ...deps, session, names: options.names });
    const restored = report.restored.map(({ keptAs, kind, name, path, time }) => ({
      ...{ kind, name, path, recoveryPointTime: time },
      ...(keptAs === undefined ? {} : { keptAs }),
    }));
    const { region } = session.region;
    return {
      json: { region, epoch, restored, already: [...report.already], foldersLeft: [...report.left] },
      text: foldersInWords(report).join("\n"),
      shortcoming: foldersShortcoming(region, report.left),
    };
  },
};
