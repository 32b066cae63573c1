import { z } from "zod";
import type { RegionOptions } from "../../composition/deps.ts";
import { formatBytes, formatCount } from "../../domain/format.ts";
import { nameOrNumberSchema } from "../../domain/recovery-points/collection-facts.ts";
import { type ExportReport, exportRecoveryPoint } from "../../workflows/export-recovery-point.ts";
import { findRecoveryPoint } from "../../workflows/find-recovery-point.ts";
import { type CommandDefinition, exitCodesHelp, parseNames, regionOptions } from "../shared/command.ts";
import { bytes, count, listOf, recoveryPointId } from "../shared/fields.ts";

interface Options extends RegionOptions {
  readonly stack?: string;
  readonly recoveryPoint: string;
  readonly collections?: readonly string[];
  readonly into: string;
}

const answer = z.strictObject({
  recoveryPoint: recoveryPointId,
  qdrantVersion: z.string().describe("the snapshots restore on this minor version of Qdrant, and on the next one"),
  collections: listOf(
    z.strictObject({
      collection: z.string().describe("its name"),
      points: count.describe("counted when it was captured"),
      shards: count.describe("how many it has"),
      isExact: z.boolean().describe("false: deletes that were acknowledged before the capture may be undone"),
      shardKeys: listOf(nameOrNumberSchema).describe(
        "Qdrant makes no shard keys of a snapshot: make the collection and these first, in this order",
      ),
      file: z.strictObject({
        path: z.string().describe("the snapshot"),
        bytes,
        sha256: z.string().describe("of the file; Qdrant compares it when it is given as `checksum`"),
      }),
    }),
  ).describe("what was written"),
  aliases: listOf(
    z.strictObject({ alias: z.string().describe("its name"), collection: z.string().describe("where it leads") }),
  ).describe("a snapshot holds no alias: to be set by hand"),
});

export const exportRecoveryPointCommand: CommandDefinition<Options, z.infer<typeof answer>> = {
  name: "export recovery-point",
  summary:
    "write a recovery point as plain Qdrant snapshots, a file for each collection, which Qdrant restores by itself",
  answer,
  configure: (command) =>
    regionOptions(command)
      .requiredOption(
        "--into <folder>",
        "where the files are written; made where there is none, and no file is replaced",
      )
      .option("--stack <name>", "stack whose bucket is read; left out: the region of the settings file")
      .option(
        "--recovery-point <id>",
        "a recovery point, latest, or a time: the newest one begun then or before",
        "latest",
      )
      .option("--collections <names>", "only these collections, separated by commas", parseNames)
      .addHelpText(
        "after",
        `
The files are not encrypted.

Examples:
  qdrant-dr export recovery-point --into /tmp/snapshots
  qdrant-dr export recovery-point --collections notes --into /tmp/snapshots
${exitCodesHelp([5, "the store does not answer, or refuses access"], [10, "the recovery point is not there, or is not complete"], [11, "a file of that name is there already"], [12, "an object does not hold what its name says"])}`,
      ),
  async run(deps, { collections: only, into, recoveryPoint: wanted, ...options }) {
    const session = await deps.access(options.stack, options);
    const repository = await session.repository();
    const recoveryPoint = await findRecoveryPoint(repository, wanted, { collections: only }, deps);
    const files = deps.newFiles(into);
    const report = await exportRecoveryPoint({ repository, recoveryPoint, only, files, progress: deps.progress });
    return { json: { recoveryPoint: recoveryPoint.id, ...report }, text: inWords(recoveryPoint.id, report) };
  },
};

function inWords(id: string, { aliases, collections, qdrantVersion }: ExportReport): string {
  const [first] = collections;
  return [
    `${formatCount(collections.length)} collections of ${id} as snapshots of Qdrant ${qdrantVersion}, not encrypted:`,
    ...collections.map(({ collection, file, isExact, points }) => {
      const exactness = isExact ? "" : ", not known to be exact";
      return `  ${collection}: ${file.path} (${formatCount(points)} points, ${formatBytes(file.bytes)}${exactness})`;
    }),
    ...collections.flatMap(({ collection, shardKeys }) =>
      shardKeys.length === 0
        ? []
        : [`  make ${collection} and its shard keys first, in this order: ${shardKeys.map(String).join(", ")}`],
    ),
    ...aliases.map(({ alias, collection }) => `  not in them: the alias ${alias} of ${collection}`),
    ...(first === undefined
      ? []
      : [
          "Restore one, on every peer of a cluster:",
          `  curl -H "api-key: $QDRANT_API_KEY" -F snapshot=@${first.file.path} "http://127.0.0.1:6333/collections/${encodeURIComponent(first.collection)}/snapshots/upload?priority=snapshot&checksum=${first.file.sha256}"`,
        ]),
  ].join("\n");
}
