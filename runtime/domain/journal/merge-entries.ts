/**
 * What a stretch of a journal comes to for who applies it: steps of each collection in their order, and several writes of points in one
 * step as long as none of them is about a point of another.
 */
import type { JournalEntry, PointsEntry } from "./entry.ts";

export type EntryOf<Kind extends JournalEntry["kind"]> = Extract<JournalEntry, { readonly kind: Kind }>;

/** Qdrant takes requests of up to 32 MB, and answers others while it works on one. */
const mostCharacters = 4_000_000;
const mostIds = 2_000;

export interface PointStep {
  readonly kind: "points";
  readonly shardKey?: string | undefined;
  /** Ids of what goes, or is written anew from nothing. */
  readonly deleted: readonly string[];
  readonly points: readonly string[];
}

export type CollectionStep =
  | PointStep
  | Exclude<JournalEntry, { readonly kind: "points" | "aliases" | "unreconciled" }>
  | (EntryOf<"unreconciled"> & { readonly collection: string });

/** Collections know nothing of each other, so that their steps may be done beside each other; then comes what concerns all of them. */
export interface JournalStage {
  readonly collections: ReadonlyMap<string, readonly CollectionStep[]>;
  readonly last?: EntryOf<"aliases" | "unreconciled">;
}

export function stagesOf(entries: readonly JournalEntry[]): JournalStage[] {
  const stages: JournalStage[] = [];
  let open = new OpenStage();
  for (const entry of entries) {
    if (entry.kind === "aliases" || (entry.kind === "unreconciled" && entry.collection === undefined)) {
      stages.push({ collections: open.steps(), last: entry });
      open = new OpenStage();
    } else open.add(entry);
  }
  const collections = open.steps();
  if (collections.size > 0) stages.push({ collections });
  return stages;
}

type EntryOfCollection = Exclude<JournalEntry, EntryOf<"aliases">>;

class OpenStage {
  readonly #collections = new Map<string, (CollectionStep | OpenPoints)[]>();

  add(entry: EntryOfCollection): void {
    const { collection } = entry;
    if (collection === undefined) return;
    const steps = this.#collections.get(collection) ?? [];
    this.#collections.set(collection, steps);
    if (entry.kind !== "points") {
      steps.push({ ...entry, collection } as CollectionStep);
      return;
    }
    const last = steps.at(-1);
    if (last instanceof OpenPoints && last.takes(entry)) last.add(entry);
    else steps.push(new OpenPoints(entry));
  }

  steps(): ReadonlyMap<string, readonly CollectionStep[]> {
    return new Map(
      [...this.#collections].map(([name, steps]) => [
        name,
        steps.map((step) => (step instanceof OpenPoints ? step.step() : step)),
      ]),
    );
  }
}

class OpenPoints {
  readonly #shardKey: string | undefined;
  readonly #ids = new Set<string>();
  readonly #deleted: string[] = [];
  readonly #points: string[] = [];
  #characters = 0;

  constructor(entry: PointsEntry) {
    this.#shardKey = entry.shardKey;
    this.add(entry);
  }

  takes({ ids, points, shardKey }: PointsEntry): boolean {
    if (shardKey !== this.#shardKey || this.#ids.size + ids.length > mostIds) return false;
    if (this.#characters + charactersOf(points) > mostCharacters) return false;
    return !ids.some((id) => this.#ids.has(id));
  }

  add(entry: PointsEntry): void {
    const { ids, points } = entry;
    for (const id of ids) this.#ids.add(id);
    if (!makesWhole(entry)) for (const id of ids) this.#deleted.push(id);
    for (const point of points) this.#points.push(point);
    this.#characters += charactersOf(points);
  }

  step(): PointStep {
    return { kind: "points", shardKey: this.#shardKey, deleted: this.#deleted, points: this.#points };
  }
}

/** Whether writing the points makes all ids what they are now: who reads meanwhile misses none. */
function makesWhole({ ids, isComplete, points }: PointsEntry): boolean {
  return isComplete && points.length >= ids.length;
}

function charactersOf(points: readonly string[]): number {
  return points.reduce((sum, point) => sum + point.length, 0);
}
