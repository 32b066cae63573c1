import { z } from "zod";
import { formatCount } from "../../domain/format.ts";
import { peerOf } from "../../domain/region.ts";
import { compareLostRegion } from "../../workflows/failover/compare-lost-region.ts";
import type { CollectionDivergence } from "../../workflows/failover/report-divergence.ts";
import { type CommandDefinition, exitCodesHelp, regionOptions } from "../shared/command.ts";
import { listOf } from "../shared/fields.ts";
import { databaseAt } from "../shared/named-qdrant.ts";
import type { TargetOptions } from "../shared/role-change.ts";

interface Options extends TargetOptions {
  readonly against?: string;
}

const ids = listOf(z.union([z.number(), z.bigint(), z.string()]));

const answer = z.strictObject({
  region: z.string().describe("the region that was lost in a failover"),
  collections: listOf(
    z.strictObject({
      name: z.string(),
      isMissing: z.boolean().describe("the active region has no such collection"),
      onlyThere: ids.describe("ids of points that only the lost region has"),
      different: ids.describe("ids of points that both have, with other payload or vectors"),
      deletedThere: ids
        .optional()
        .describe("with --against: ids of points that the lost region had deleted when the other one took over"),
    }),
  ).describe("collections that differ"),
});

export const divergence: CommandDefinition<Options, z.infer<typeof answer>> = {
  name: "divergence",
  summary: "id by id, what a region that was lost in a failover holds and the active one does not; changes nothing",
  answer,
  configure: (command) =>
    regionOptions(command)
      .option(
        "--to <stack>",
        "stack of the region that was lost, and may be promoted again; left out: the region of the settings file",
      )
      .option(
        "--against <urls>",
        "after a failover: compare with the recovery point that was served, restored into this Qdrant (`restore --to`, its key in QDRANT_API_KEY): shows deletes that were lost, too, and nothing that was written since",
      )
      .addHelpText(
        "after",
        exitCodesHelp(
          [2, "wrong option or stack"],
          [5, "a server of either region does not answer"],
          [11, "with --against: the other region is not active since a failover"],
          [12, "with --against: that Qdrant does not hold what was served"],
        ),
      ),
  async run(deps, options) {
    const lost = await deps.access(options.to, options);
    const active = await deps.access(peerOf(lost.region), options);
    const { region } = lost.region;
    const served = options.against === undefined ? undefined : await databaseAt(deps, options.against, "--against");
    const collections = await compareLostRegion({ lost, active, served });
    const text =
      collections.length === 0 ? `${region} holds the same points` : `${region} differs in these collections:`;
    return { json: { region, collections }, text: [text, ...collections.map(formatDivergence)].join("\n") };
  },
};

function formatDivergence({ deletedThere, different, isMissing, name, onlyThere }: CollectionDivergence): string {
  const deleted = deletedThere === undefined ? "" : `, ${formatCount(deletedThere.length)} deleted there`;
  const missing = isMissing ? "; the active region has no such collection" : "";
  return `  ${name}: ${formatCount(onlyThere.length)} points only there, ${formatCount(different.length)} with other contents${deleted}${missing}`;
}
