/** Chooses the collections that a capture reads. The others stay as in the base. */
import { forEachConcurrently } from "../../../async/for-each-concurrently.ts";
import { missingFrom } from "../../../domain/recovery-points/missing.ts";
import type { Missing, RecoveryPoint } from "../../../domain/recovery-points/recovery-point.ts";
import type { EpochRecord } from "../../../domain/roles/epoch.ts";
import { isNamedBy } from "../../../domain/settings/name-patterns.ts";
import { DrError, hasCode } from "../../../errors.ts";
import type { CollectionReader } from "../../../ports/qdrant.ts";
import { isRestoredSince, newestRestore, type RestoreRecords } from "../../../repository/control/restore-records.ts";
import { collectionsAtOnce } from "../../concurrency.ts";
import type { CaptureMemory } from "../capture-memory.ts";
import type { CaptureOptions, IncrementalContext } from "../capture-request.ts";
import { isGone } from "../collection-existence.ts";

/** What may have made the region's data another than the base's. */
interface Past {
  readonly epoch: EpochRecord;
  readonly restores: RestoreRecords;
}

export interface ChosenCollections {
  readonly wanted: readonly string[];
  readonly carried: readonly string[];
  readonly excluded: readonly string[];
  /** What the base lacks, and is not read either. */
  readonly missing: readonly Missing[];
}

/** Which collections were asked for. */
export interface AskedCollections {
  /** The only ones to be read; all are when left out. */
  readonly names: CaptureOptions["collections"];
  /** Names and patterns of those that are left out. */
  readonly exclude: CaptureOptions["exclude"];
}

export class CollectionChooser {
  readonly #database: CollectionReader;
  readonly #asked: AskedCollections;
  readonly #incremental: IncrementalContext | undefined;

  constructor(database: CollectionReader, asked: AskedCollections, incremental: IncrementalContext | undefined) {
    this.#database = database;
    this.#asked = asked;
    this.#incremental = incremental;
  }

  async choose(past: Past, base: RecoveryPoint | undefined): Promise<ChosenCollections> {
    const all = await this.#present(base);
    const exclude = this.#excludedAmong(all);
    const excluded = all.filter((name) => exclude.has(name));
    const present = all.filter((name) => !exclude.has(name));
    const wanted = await this.#wanted(past, present, base);
    const read = new Set(wanted);
    const kept = new Set(present.filter((name) => !read.has(name)));
    const carried = (base?.collections ?? []).map(({ name }) => name).filter((name) => kept.has(name));
    // What was not captured then is not captured now either, and the recovery point would look whole.
    const missing = missingFrom(base ?? {}).filter(({ kind, name }) => kind === "qdrant" && kept.has(name));
    return { wanted, carried, excluded, missing };
  }

  /** Throws USAGE when one is asked for and left out. */
  #excludedAmong(present: readonly string[]): ReadonlySet<string> {
    const { exclude = [], names = [] } = this.#asked;
    const excluded = new Set(present.filter((name) => isNamedBy(exclude, name)));
    const both = names.filter((name) => isNamedBy(exclude, name));
    if (both.length > 0) {
      throw new DrError("USAGE", `${both.join(", ")} is asked for and left out at the same time`, {
        hint: "take it out of --collections, or out of what is excluded",
      });
    }
    return excluded;
  }

  /** What the base holds and the list does not name is asked for itself. */
  async #present(base: RecoveryPoint | undefined): Promise<string[]> {
    const listed = new Set(await this.#database.collections());
    const missing = (base?.collections ?? []).map(({ name }) => name).filter((name) => !listed.has(name));
    await forEachConcurrently(collectionsAtOnce, missing, async (name) => {
      const isThere = isGone(this.#database, name).then(
        (isGone) => !isGone,
        (error: unknown) => {
          // There is one, of which nothing can be told: its capture says why.
          if (hasCode(error, "QDRANT_REFUSED")) return true;
          throw error;
        },
      );
      if (await isThere) listed.add(name);
    });
    return [...listed];
  }

  async #wanted(past: Past, present: readonly string[], base: RecoveryPoint | undefined): Promise<readonly string[]> {
    const { choose, memory } = this.#incremental ?? {};
    if (choose !== undefined) {
      if (base === undefined || memory === undefined || !isContinued(memory, past, present, base)) return present;
      const chosen = new Set(choose(present));
      if (chosen.size === present.length) return present;
      const led = await newlyLedTo(this.#database, base);
      const known = new Set(base.collections.map(({ name }) => name));
      return present.filter((name) => chosen.has(name) || led.has(name) || !known.has(name));
    }
    const { names } = this.#asked;
    return names === undefined ? present : named(names, past, present, base);
  }
}

function named(
  names: readonly string[],
  past: Past,
  present: readonly string[],
  base: RecoveryPoint | undefined,
): readonly string[] {
  const unknown = names.filter((name) => !present.includes(name));
  if (unknown.length > 0) {
    throw new DrError("USAGE", `there is no collection ${unknown.join(", ")}`, {
      hint: `there are ${present.join(", ") || "none"}`,
    });
  }
  if (base !== undefined && isOfNow(base, past)) return names;
  const beside = base === undefined ? "" : ", made since the last restore and change of roles";
  throw new DrError(
    "USAGE",
    `some collections can be captured only beside an earlier recovery point of all of them${beside}`,
    { hint: "take one with `qdrant-dr backup --type full`" },
  );
}

/** Whether the base is of the history that goes on: nothing was restored since, and no other region was active. */
export function isOfNow(base: RecoveryPoint, { epoch, restores }: Past): boolean {
  return base.epoch === epoch.epoch && !isRestoredSince(restores, new Date(base.time));
}

/** Whether what is not read now can stand beside what is. The data of a collection that is gone may have gone into any other. */
function isContinued(
  memory: CaptureMemory,
  { epoch, restores }: Past,
  present: readonly string[],
  base: RecoveryPoint,
): boolean {
  if (memory.base === undefined || memory.restore !== newestRestore(restores)) return false;
  return base.epoch === epoch.epoch && base.collections.every(({ name }) => present.includes(name));
}

/** Collections that an alias has come to name: clients that were led there find what another one held before. */
async function newlyLedTo(database: CollectionReader, base: RecoveryPoint): Promise<ReadonlySet<string>> {
  const isKnown = ({ alias, collection }: RecoveryPoint["aliases"][number]) =>
    base.aliases.some((known) => known.alias === alias && known.collection === collection);
  const fresh = (await database.aliases()).filter((alias) => !isKnown(alias));
  return new Set(fresh.map(({ collection }) => collection));
}
