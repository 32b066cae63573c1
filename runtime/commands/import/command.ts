import { z } from "zod";
import type { Deps, RegionOptions } from "../../composition/deps.ts";
import { formatBytes, formatCount } from "../../domain/format.ts";
import { DrError } from "../../errors.ts";
import type { VectorDatabase } from "../../ports/qdrant.ts";
import { type ImportReport, importSnapshots } from "../../workflows/import-snapshots.ts";
import type { RegionSession } from "../../workflows/region-session.ts";
import { type CommandDefinition, exitCodesHelp, regionOptions } from "../shared/command.ts";
import { bytes, count, listOf, recoveryPointId } from "../shared/fields.ts";
import { qdrantAt } from "../shared/named-qdrant.ts";

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
      file: z.string().describe("name of the snapshot"),
      bytes: bytes.describe("bytes of the snapshot"),
      sha256: z.string().describe("of the snapshot"),
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
      .requiredOption("--snapshot <files...>", "snapshots of whole collections, as Qdrant makes them")
      .option("--collection <name>", "what the collection is called; left out: what the file's name says")
      .option(
        "--stack <name>",
        "stack whose bucket takes the recovery point; left out: the region of the settings file",
      )
      .option(
        "--via <url>",
        "a Qdrant that restores the snapshots, its key in QDRANT_API_KEY; left out: the region's own, beside its live collections",
      )
      .addHelpText(
        "after",
        `
A Qdrant restores each snapshot under a scratch name, which checks it; that is captured and removed. It needs room for it meanwhile.
The recovery point is not called exact, and is never the newest: name it by its id.

Examples:
  qdrant-dr import --snapshot notes-2026-05-31.snapshot --collection notes
  qdrant-dr import --snapshot backups/*.snapshot --via http://127.0.0.1:6433
${exitCodesHelp([2, "a file is no snapshot of a collection, or cannot be imported"], [5, "Qdrant or the store does not answer, or refuses"], [11, "the region is not active"])}`,
      ),
  async run(deps, options) {
    const session = await deps.access(options.stack, options);
    const via = await opened(deps, session, options.via);
    const files = await Promise.all(options.snapshot.map((path) => deps.snapshotFile(path)));
    const report = await importSnapshots({
      ...deps,
      ...via,
      region: session.region.region,
      repository: await session.repositoryForWriting(),
      files,
      collection: options.collection,
    });
    return { json: report, text: inWords(report) };
  },
};

async function opened(
  deps: Deps,
  { database, region }: RegionSession,
  via: string | undefined,
): Promise<{ readonly database: VectorDatabase; readonly peerUrl: string }> {
  const named = via === undefined ? { database, peers: region.qdrant.peers } : await qdrantAt(deps, via, "--via");
  const [peerUrl, other] = named.peers;
  if (peerUrl !== undefined && other === undefined) return { database: named.database, peerUrl };
  throw new DrError("NOT_SUPPORTED", "a cluster takes a snapshot on each of its peers, which import does not do", {
    hint: "name a Qdrant of one peer with --via: any that is empty will do",
  });
}

function inWords({ collections, recoveryPoint, storedBytes }: ImportReport): string {
  return [
    `${recoveryPoint} holds ${formatCount(collections.length)} imported collections, ${formatBytes(storedBytes)} stored; not known to be exact:`,
    ...collections.map(({ collection, file, points }) => `  ${collection}: ${formatCount(points)} points of ${file}`),
    `Restore it by its id: qdrant-dr restore --recovery-point ${recoveryPoint}`,
  ].join("\n");
}
