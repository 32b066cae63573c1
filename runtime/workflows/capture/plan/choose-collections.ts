/** Chooses the collections that a capture reads. The others stay as in the base. */
import { forEachConcurrently } from "../../../async/for-each-concurrently.ts";
import type { RecoveryPoint } from "../../../domain/recovery-points/recovery-point.ts";
import type { EpochRecord } from "../../../domain/roles/epoch.ts";
import { DrError } from "../../../errors.ts";
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
}

export class CollectionChooser {
  readonly #database: CollectionReader;
  readonly #names: CaptureOptions["collections"];
  readonly #incremental: IncrementalContext | undefined;

  /** @param names the only ones to be read; all are when left out. */
  constructor(
    database: CollectionReader,
    names: CaptureOptions["collections"],
    incremental: IncrementalContext | undefined,
  ) {
    this.#database = database;
    this.#names = names;
    this.#incremental = incremental;
  }

  async choose(past: Past, base: RecoveryPoint | undefined): Promise<ChosenCollections> {
    const present = await this.#present(base);
    const wanted = await this.#wanted(past, present, base);
    const read = new Set(wanted);
    const kept = new Set(present.filter((name) => !read.has(name)));
    const carried = (base?.collections ?? []).map(({ name }) => name).filter((name) => kept.has(name));
    return { wanted, carried };
  }

  /** What the base holds and the list does not name is asked for itself. */
  async #present(base: RecoveryPoint | undefined): Promise<string[]> {
    const listed = new Set(await this.#database.collections());
    const missing = (base?.collections ?? []).map(({ name }) => name).filter((name) => !listed.has(name));
    await forEachConcurrently(collectionsAtOnce, missing, async (name) => {
      if (!(await isGone(this.#database, name))) listed.add(name);
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
    return this.#names === undefined ? present : named(this.#names, past, present, base);
  }
}

function named(
  names: readonly string[],
  { epoch, restores }: Past,
  present: readonly string[],
  base: RecoveryPoint | undefined,
): readonly string[] {
  const unknown = names.filter((name) => !present.includes(name));
  if (unknown.length > 0) {
    throw new DrError("USAGE", `there is no collection ${unknown.join(", ")}`, {
      hint: `there are ${present.join(", ") || "none"}`,
    });
  }
  const isOfNow = base?.epoch === epoch.epoch && !isRestoredSince(restores, new Date(base.time));
  if (isOfNow) return names;
  const beside = base === undefined ? "" : ", made since the last restore and change of roles";
  throw new DrError(
    "USAGE",
    `some collections can be captured only beside an earlier recovery point of all of them${beside}`,
    { hint: "take one with `qdrant-dr backup --type full`" },
  );
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
