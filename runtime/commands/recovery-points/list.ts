import { z } from "zod";
import type { RegionOptions } from "../../composition/deps.ts";
import { formatCount } from "../../domain/format.ts";
import { isKeptAt, type KeptRecoveryPoint, keptInWords } from "../../domain/history/kept-recovery-points.ts";
import { type CatalogEntry, doubtIn, quarantineOfFolders } from "../../domain/recovery-points/catalog.ts";
import { missingFrom, missingInWords } from "../../domain/recovery-points/missing.ts";
import { captureTypes, isExact } from "../../domain/recovery-points/recovery-point.ts";
import { listRecoveryPoints } from "../../workflows/list-recovery-points.ts";
import { type CommandDefinition, exitCodesHelp, regionOptions } from "../shared/command.ts";
import { count, kind, listOf, missingPart, recoveryPointId, time } from "../shared/fields.ts";
import { recoveryPointState } from "./state.ts";

interface Options extends RegionOptions {
  readonly stack?: string;
  readonly all?: boolean;
}

const listed = z.strictObject({
  id: recoveryPointId,
  ...recoveryPointState,
  type: z
    .enum(captureTypes)
    .optional()
    .describe("absent, as all that follows from the manifest, when that is unreadable"),
  startedAt: time.optional().describe("when the capture began"),
  time: time.optional().describe("every write acknowledged before this is in it"),
  region: z.string().optional().describe("the region that was captured"),
  epoch: count.optional().describe("the epoch in which it was captured"),
  isExact: z.boolean().describe("false: deletes since an optimization began may be undone in it, or a file changed"),
  kinds: listOf(kind),
  collections: count.optional().describe("number of collections"),
  folders: listOf(z.strictObject({ kind, name: z.string(), isExact: z.boolean() })),
  missing: listOf(missingPart).describe("what its capture could not read: a partial recovery point"),
  excluded: listOf(z.string()).describe("collections that were left out on purpose"),
  points: count.optional().describe("number of Qdrant points"),
  imported: listOf(z.string())
    .optional()
    .describe(
      "names of the snapshots that it was made of; absent: it was captured. An imported one is never the newest",
    ),
  doubt: z.string().optional().describe("why its times do not count as they are: a clock was wrong"),
  unasked: count.describe("objects that it names and that were not asked for: --all asks for every one"),
  verifiedAt: time.optional().describe("when `verify` last read all of it in this region"),
  restoredAt: time.optional().describe("when all of it was last restored, compared and asked"),
  kept: z
    .strictObject({
      until: time.optional().describe("absent: until somebody ends it"),
      reason: z.string().optional(),
    })
    .optional()
    .describe("it is kept whatever retention says (`recovery-points keep`)"),
});

const answer = z.strictObject({
  recoveryPoints: listOf(listed).describe("oldest first; the 50 newest, or all of them"),
  hasMore: z.boolean().describe("older ones are there, and not listed here"),
  unreadable: listOf(z.string()).describe(
    "keys of records beside the recovery points that cannot be read, and were ignored",
  ),
});

export const recoveryPointsList: CommandDefinition<Options, z.infer<typeof answer>> = {
  name: "recovery-points list",
  isDefaultOfGroup: true,
  summary: "list the recovery points in a region's bucket, and whether each can be restored from there",
  answer,
  configure: (command) =>
    regionOptions(command)
      .option("--stack <name>", "stack whose bucket is listed; left out: the region of the settings file")
      .option("--all", "list all of them, and ask for every object that they need; left out: the 50 newest")
      .addHelpText(
        "after",
        exitCodesHelp([5, "the bucket does not answer, or refuses access"], [10, "no repository is there"]),
      ),
  async run(deps, options) {
    const session = await deps.access(options.stack, options);
    const { entries, hasMore, kept, unreadable } = await listRecoveryPoints(session, { isAll: options.all === true });
    const now = deps.clock.now();
    const recoveryPoints = entries.map((entry) => ({
      ...describe(entry, session.region.region),
      doubt: doubtIn(entry, now),
      kept: keptAt(kept.get(entry.id), now),
    }));
    const rows = recoveryPoints.map(formatRecoveryPoint);
    const ignored = unreadable.map((key) => `ignored: ${key} cannot be read`);
    const more = hasMore ? ["Older ones are there: list them with --all."] : [];
    const text = [...more, ...(rows.length === 0 ? ["No recovery points."] : rows), ...ignored].join("\n");
    return { json: { recoveryPoints, hasMore, unreadable: [...unreadable] }, text };
  },
};

function describe(
  { attestations, id, recoveryPoint, reasons, state, unasked = 0 }: CatalogEntry,
  region: string,
): z.infer<typeof listed> {
  const ofFolders = quarantineOfFolders({ attestations });
  const timesOf = (found: typeof attestations) => found.map(({ at }) => at).sort();
  const verified = timesOf(attestations.filter((found) => found.kind === "verified" && found.region === region));
  const restored = timesOf(attestations.filter((found) => found.kind === "restored"));
  return {
    id,
    state,
    reasons: ofFolders === undefined ? reasons : [...reasons, `its folders are quarantined: ${ofFolders}`],
    type: recoveryPoint?.type,
    startedAt: recoveryPoint?.startedAt,
    time: recoveryPoint?.time,
    region: recoveryPoint?.region,
    epoch: recoveryPoint?.epoch,
    isExact: recoveryPoint !== undefined && isExact(recoveryPoint),
    kinds: recoveryPoint?.kinds ?? [],
    collections: recoveryPoint?.collections.length,
    folders: (recoveryPoint?.folders ?? []).map(({ isExact: exact, kind, name }) => ({ kind, name, isExact: exact })),
    missing: missingFrom(recoveryPoint ?? {}),
    excluded: recoveryPoint?.excluded ?? [],
    points: recoveryPoint?.collections.reduce((sum, { pointsAfter }) => sum + pointsAfter, 0),
    imported: recoveryPoint?.imported?.map(({ file }) => file),
    verifiedAt: verified.at(-1),
    restoredAt: restored.at(-1),
    unasked,
  };
}

function keptAt(said: KeptRecoveryPoint | undefined, now: Date): z.infer<typeof listed>["kept"] {
  return said !== undefined && isKeptAt(said, now) ? { until: said.until, reason: said.reason } : undefined;
}

function contentOf({ collections, kinds, points }: z.infer<typeof listed>): string {
  if (collections === undefined || points === undefined) return "content not known";
  if (!kinds.includes("qdrant")) return "no Qdrant";
  return `${formatCount(points)} points in ${formatCount(collections)} collections`;
}

function formatRecoveryPoint(found: z.infer<typeof listed>): string {
  const {
    doubt,
    excluded,
    folders,
    id,
    imported,
    kept,
    missing,
    reasons,
    restoredAt,
    state,
    startedAt,
    time: asOf,
    type,
    unasked,
    verifiedAt,
  } = found;
  return [
    id,
    (type ?? "?").padEnd(11),
    startedAt ?? "?",
    state.padEnd(11),
    found.isExact ? "exact  " : "inexact",
    contentOf(found),
    ...folders.map(({ kind, name }) => `${kind} ${name}`),
    ...(imported === undefined ? [] : [`imported from ${imported.join(", ")}`]),
    ...(asOf === startedAt ? [] : [`its oldest collection as of ${asOf}`]),
    verifiedAt === undefined ? "not verified here" : `verified ${verifiedAt}`,
    ...(restoredAt === undefined ? [] : [`restored ${restoredAt}`]),
    ...(kept === undefined ? [] : [keptInWords(kept)]),
    ...missing.map((each) => `partial: ${missingInWords(each)}`),
    ...(excluded.length === 0 ? [] : [`left out on purpose: ${excluded.join(", ")}`]),
    ...reasons.slice(0, 1),
    ...(unasked === 0 ? [] : [`${formatCount(unasked)} of its objects not looked for`]),
    ...(doubt === undefined ? [] : [doubt]),
  ].join("  ");
}
