import { z } from "zod";
import { formatCount } from "../../domain/format.ts";
import { type CollectionDivergence, findDivergence } from "../../workflows/failover/report-divergence.ts";
import { requireServedState } from "../../workflows/failover/served-state.ts";
import { type CommandDefinition, exitCodesHelp, regionOptions } from "../shared/command.ts";
import { listOf } from "../shared/fields.ts";
import { databaseAt } from "../shared/named-qdrant.ts";
import type { TargetOptions } from "../shared/role-change.ts";

interface Options extends TargetOptions {
  readonly against?: string;
}

const ids = listOf(z.union([z.number(), z.bigint(), z.string()]));

const answer = z.strictObject({
  region: z.string().describe("the region that was given up"),
  collections: listOf(
    z.strictObject({
      name: z.string(),
      isMissing: z.boolean().describe("the active region has no such collection"),
      onlyThere: ids.describe("ids of points that only the region that was given up has"),
      different: ids.describe("ids of points that both have, with other payload or vectors"),
      deletedThere: ids
        .optional()
        .describe("with --against: ids of points that the region had deleted when it was given up"),
    }),
  ).describe("collections that differ"),
});

export const divergence: CommandDefinition<Options, z.infer<typeof answer>> = {
  name: "divergence",
  summary: "id by id, what a region that was given up holds and the active one does not; changes nothing",
  answer,
  configure: (command) =>
    regionOptions(command)
      .requiredOption("--to <stack>", "stack of the region that was given up, and may be promoted again")
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
    const given = await deps.access(options.to, options);
    const active = await deps.access(given.region.peer, options);
    const { region } = given.region;
    let collections: CollectionDivergence[];
    if (options.against === undefined) {
      collections = await findDivergence(given.database, active.database);
    } else {
      const served = await databaseAt(deps, options.against, "--against");
      await requireServedState(active, served);
      collections = await findDivergence(given.database, served, { isServedState: true });
    }
    const text = collections.length === 0 ? `${region} holds nothing of its own` : `Only or otherwise in ${region}:`;
    return { json: { region, collections }, text: [text, ...collections.map(formatDivergence)].join("\n") };
  },
};

function formatDivergence({ deletedThere, different, isMissing, name, onlyThere }: CollectionDivergence): string {
  const deleted = deletedThere === undefined ? "" : `, ${formatCount(deletedThere.length)} deleted there`;
  const missing = isMissing ? "; the collection is only there" : "";
  return `  ${name}: ${formatCount(onlyThere.length)} points only there, ${formatCount(different.length)} otherwise${deleted}${missing}`;
}
