/** Brings a restored recovery point to a later time by the journal that is kept beside it. */
import type { JournalEntry } from "../../domain/journal/entry.ts";
import type { JournalPosition } from "../../domain/journal/position.ts";
import type { RecoveryPoint } from "../../domain/recovery-points/recovery-point.ts";
import { DrError } from "../../errors.ts";
import type { VectorDatabase } from "../../ports/qdrant.ts";
import type { OpenRepository } from "../../repository/repository.ts";
import { JournalApplier } from "./journal-applier.ts";

export interface Replay {
  readonly region: string;
  readonly from: JournalPosition;
  readonly until: Date;
  /** Names on the target by those that were captured; undefined: all, also what was made since, under its own name. */
  readonly names: ReadonlyMap<string, string> | undefined;
  /** How many entries of the journal it applies. */
  readonly entries: number;
}

interface ReplayRequest {
  readonly repository: OpenRepository;
  readonly recoveryPoint: RecoveryPoint;
  readonly until: Date;
  readonly names: Replay["names"];
}

/**
 * Reads all that would be applied, and changes nothing. Throws when the journal does not tell what stood there at that time: a restore
 * would end in what never was.
 */
export async function planReplay({ names, recoveryPoint, repository, until }: ReplayRequest): Promise<Replay> {
  const { finishedAt, id, journal: from, region } = recoveryPoint;
  if (from === undefined || Date.parse(finishedAt) > until.getTime()) {
    const why = from === undefined ? "names no position of a journal" : `was captured until ${finishedAt}`;
    throw new DrError(
      "RECOVERY_POINT_NOT_FOUND",
      `${id} ${why}, so that nothing leads from it to ${until.toISOString()}`,
      {
        hint: "choose another with --recovery-point: one that `replicate --journal` captured, and before that time",
      },
    );
  }
  const replay = { region, from, until, names };
  let entries = 0;
  let isTold = false;
  for await (const part of partsOf(repository, replay)) {
    entries += part.entries.length;
    isTold ||= part.isBeyond;
    const untold = part.entries.find(({ kind }) => kind === "unreconciled");
    if (untold?.kind !== "unreconciled") continue;
    throw new DrError(
      "RECOVERY_POINT_NOT_FOUND",
      `the journal does not tell what ${untold.collection ?? "any collection"} held after ${untold.at}: ${untold.reason}`,
      { hint: "name a time before that, or a recovery point after it" },
    );
  }
  if (!isTold) {
    throw new DrError("RECOVERY_POINT_NOT_FOUND", `the journal of ${region} does not reach ${until.toISOString()}`, {
      hint: "nobody knows whether more was written until then: name the time of the last write that is to be there, or a little later",
    });
  }
  return { ...replay, entries };
}

/** The target holds what it was restored to, and nobody writes to it. Answers whether its aliases are the journal's. */
export async function replay(
  tools: { repository: OpenRepository; target: VectorDatabase },
  plan: Replay,
): Promise<{ areAliasesSet: boolean }> {
  const { repository, target } = tools;
  const applier = new JournalApplier(target, { unreconciled: new Map(), strictModes: new Map() });
  for (const name of plan.names?.values() ?? (await target.collections())) await applier.withholdStrictMode(name);
  let aliases: JournalEntry | undefined;
  for await (const { entries } of partsOf(repository, plan)) {
    await applier.apply(entries.filter(({ kind }) => kind !== "aliases"));
    aliases = entries.findLast(({ kind }) => kind === "aliases") ?? aliases;
  }
  const { strictModes, unreconciled } = applier.state;
  const present = new Set(await target.collections());
  for (const [name, settings] of strictModes) if (present.has(name)) await target.setStrictMode(name, settings);
  const [refused] = unreconciled;
  if (refused === undefined) {
    // They lead clients: to what is of that time.
    if (aliases !== undefined) await applier.apply([aliases]);
    return { areAliasesSet: aliases !== undefined };
  }
  throw new DrError("VERIFICATION_FAILED", `${refused[0]} does not take what the journal tells: ${refused[1]}`, {
    hint: "restore a recovery point without --at",
  });
}

interface ReplayPart {
  /** Of those that were acknowledged until then, with the names of the target. */
  readonly entries: readonly JournalEntry[];
  /** The journal knows of later times. */
  readonly isBeyond: boolean;
}

async function* partsOf(
  repository: OpenRepository,
  { from, names, region, until }: Omit<Replay, "entries">,
): AsyncGenerator<ReplayPart> {
  const reader = repository.journalOf(region);
  for (let position = from; ; ) {
    const object = await reader.next(position);
    if (object === undefined) {
      await reader.refuseGap(position);
      return;
    }
    position = object.position;
    const wanted = object.entries.filter(({ at }) => Date.parse(at) <= until.getTime());
    const isBeyond = Date.parse(object.at) >= until.getTime();
    yield { entries: wanted.flatMap((entry) => named(entry, names)), isBeyond };
    // Entries wait a moment before they are stored: only an object without any of before ends it.
    if (isBeyond && object.entries.length > 0 && wanted.length === 0) return;
  }
}

function named(entry: JournalEntry, names: Replay["names"]): readonly JournalEntry[] {
  if (names === undefined) return [entry];
  // Aliases lead clients, who were not asked.
  if (entry.kind === "aliases") return [];
  if (entry.collection === undefined) return [entry];
  const collection = names.get(entry.collection);
  return collection === undefined ? [] : [{ ...entry, collection }];
}
