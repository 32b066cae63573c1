import type { RegionOptions } from "../compose.ts";
import { formatCount } from "../domain/format.ts";
import type { CatalogEntry } from "../domain/recovery-points/catalog.ts";
import { isExact } from "../domain/recovery-points/recovery-point.ts";
import { readCatalog } from "../repository/catalog/read-catalog.ts";
import { type CommandDefinition, exitCodesHelp, regionOptions } from "./command.ts";

interface Options extends RegionOptions {
  readonly stack: string;
}

export const points: CommandDefinition<Options> = {
  name: "points",
  summary: "list the recovery points in a region's bucket, and whether each can be restored from there",
  configure: (command) =>
    regionOptions(command)
      .requiredOption("--stack <name>", "stack whose bucket is listed")
      .addHelpText(
        "after",
        exitCodesHelp([5, "the bucket does not answer, or refuses access"], [10, "no repository is there"]),
      ),
  async run(deps, options) {
    const access = await deps.access(options.stack, options);
    const { entries } = await readCatalog(await access.repository());
    const listed = entries.map((entry) => describe(entry, access.region.region));
    const rows = listed.map(
      ({
        collections,
        folders,
        id,
        isExact: exact,
        kinds,
        points: count,
        reasons,
        state,
        startedAt,
        time,
        type,
        verifiedAt,
      }) =>
        [
          id,
          (type ?? "?").padEnd(11),
          startedAt ?? "?",
          state.padEnd(11),
          exact ? "exact  " : "inexact",
          kinds.includes("qdrant")
            ? `${formatCount(count)} points in ${formatCount(collections)} collections`
            : "no Qdrant",
          ...folders.map(({ kind, name }) => `${kind} ${name}`),
          ...(time === startedAt ? [] : [`its oldest collection as of ${time}`]),
          verifiedAt === undefined ? "not verified here" : `verified ${verifiedAt}`,
          ...reasons.slice(0, 1),
        ].join("  "),
    );
    return { json: { points: listed }, text: rows.length === 0 ? "No recovery points." : rows.join("\n") };
  },
};

function describe({ attestations, id, point, reasons, state }: CatalogEntry, region: string) {
  const verified = attestations
    .filter((found) => found.kind === "verified" && found.region === region)
    .map(({ at }) => at);
  return {
    id,
    state,
    reasons,
    type: point?.type,
    startedAt: point?.startedAt,
    time: point?.time,
    region: point?.region,
    epoch: point?.epoch,
    isExact: point !== undefined && isExact(point),
    kinds: point?.kinds ?? [],
    collections: point?.collections.length ?? 0,
    folders: (point?.folders ?? []).map(({ isExact: exact, kind, name }) => ({ kind, name, isExact: exact })),
    points: point?.collections.reduce((sum, { pointsAfter }) => sum + pointsAfter, 0) ?? 0,
    verifiedAt: verified.sort().at(-1),
  };
}
