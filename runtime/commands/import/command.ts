import { z } from "zod";
import type { RegionOptions } from "../../composition/deps.ts";
import { formatBytes, formatCount } from "../../domain/format.ts";
import { type ImportReport, importSnapshots } from "../../workflows/import-snapshots.ts";
import { type CommandDefinition, exitCodesHelp, regionOptions } from "../shared/command.ts";
import { bytes, count, listOf, recoveryPointId } from "../shared/fields.ts";
import { openVia } from "../shared/named-qdrant.ts";

interface Options extends RegionOptions {
  readonly stack?: string;
  readonly snapshot: readonly string[];
  readonly collection?: string;
  readonly via?: string;
}

const answer = z.strictObject({
  recoveryPoint: recoveryPointId,
  collections: listOf(
    z.strictObject({
      collection: z.string().describe("its name in the recovery point"),
      points: count.describe("counted when it was restored"),
      shards: count.describe("how many it has"),
      snapshots: listOf(
        z.strictObject({
          file: z.string().describe("its name"),
          bytes: bytes.describe("bytes of the file"),
          sha256: z.string().describe("of the file"),
        }),
      ).describe("what it was made of: one snapshot, or one of each peer"),
    }),
  ).describe("what was imported"),
  storedBytes: bytes.describe("bytes that were stored"),
});

export const importCommand: CommandDefinition<Options, z.infer<typeof answer>> = {
  name: "import",
  summary: "make a recovery point of plain Qdrant snapshots, restorable by its id like any other",
  answer,
  configure: (command) =>
    regionOptions(command)
      .requiredOption(
        "--snapshot <files...>",
        "snapshots of whole collections, as Qdrant makes them; of a cluster, those of all its peers",
      )
      .option("--collection <name>", "what the collection of all files is called; left out: what each file's name says")
      .option(
        "--stack <name>",
        "stack whose bucket takes the recovery point; left out: the region of the settings file",
      )
      .option(
        "--via <url>",
        "a Qdrant that restores the snapshots, all its peers separated by commas, its key in QDRANT_API_KEY; left out: the region's own, beside its live collections",
      )
      .addHelpText(
        "after",
        `
A Qdrant restores each collection under a scratch name, which checks it; that is captured and removed. It needs room for it meanwhile.
Of a cluster, each peer's snapshot holds its own shards: give all of them. Collections with shard keys need a Qdrant in cluster mode.
The recovery point is not called exact, and is never the newest: name it by its id.

Examples:
  qdrant-dr import --snapshot notes-2026-05-31.snapshot --collection notes
  qdrant-dr import --snapshot peer-1.snapshot peer-2.snapshot peer-3.snapshot --collection notes
  qdrant-dr import --snapshot backups/*.snapshot --via http://127.0.0.1:6433
${exitCodesHelp([2, "a file is no snapshot of a collection, or cannot be imported"], [5, "Qdrant or the store does not answer, or refuses"], [11, "the region is not active"])}`,
      ),
  async run(deps, options) {
    const session = await deps.access(options.stack, options);
    const { target: database, targetName: databaseName } = await openVia(deps, session, options.via);
    const files = await Promise.all(options.snapshot.map((path) => deps.snapshotFile(path)));
    const report = await importSnapshots({
      ...deps,
      database,
      databaseName,
      region: session.region.region,
      repository: await session.repositoryForWriting(),
      files,
      collection: options.collection,
    });
    return { json: report, text: inWords(report) };
  },
};

function inWords({ collections, recoveryPoint, storedBytes }: ImportReport): string {
  return [
    `${recoveryPoint} holds ${formatCount(collections.length)} imported collections, ${formatBytes(storedBytes)} stored; not known to be exact:`,
    ...collections.map(({ collection, points, snapshots }) => {
      const names = snapshots.map(({ file }) => file).join(", ");
      return `  ${collection}: ${formatCount(points)} points of ${names}`;
    }),
    `Restore it by its id: qdrant-dr restore --recovery-point ${recoveryPoint}`,
  ].join("\n");
}
