/**
 * Compares a region that was lost in a failover with the active one, id by id. It may hold writes that were acknowledged after
 * the last state that reached the other region, or while both served: they are recorded before replication replaces them.
 */
import { z } from "zod";
import { controlLayout } from "../../domain/recovery-points/store-layout.ts";
import type { ObjectStore } from "../../ports/object-store.ts";
import type { PointId, VectorDatabase } from "../../ports/qdrant.ts";
import { createRecord } from "../../repository/record.ts";

const pointsAtOnce = 500;

export interface CollectionDivergence {
  readonly name: string;
  /** The active region has no such collection. */
  readonly isMissing: boolean;
  /** In the lost region only: written there last, or deleted in the active one since. */
  readonly onlyThere: readonly PointId[];
  /** In both, with other payload or vectors. */
  readonly different: readonly PointId[];
  /** In the other state only; known only of a state to which nobody has written since. */
  readonly deletedThere?: readonly PointId[];
}

/**
 * Keeps in memory the ids of what differs, and a few hundred points at a time.
 *
 * @param isServedState `active` is as it was when the old region was lost: the points that only `active` has were deleted there.
 */
export async function findDivergence(
  old: VectorDatabase,
  active: VectorDatabase,
  { isServedState = false } = {},
): Promise<CollectionDivergence[]> {
  const present = new Set(await active.collections());
  const found: CollectionDivergence[] = [];
  for (const name of await old.collections()) {
    const isMissing = !present.has(name);
    const onlyThere: PointId[] = [];
    const different: PointId[] = [];
    for await (const ids of inBatches(old.ids(name))) {
      const [there, here] = await Promise.all([
        contentOf(old, name, ids),
        contentOf(active, name, isMissing ? [] : ids),
      ]);
      for (const [id, content] of there) {
        if (!here.has(id)) onlyThere.push(id);
        // Of what is too large to be compared nobody knows that it is the same.
        else if (content === undefined || here.get(id) !== content) different.push(id);
      }
    }
    const deletedThere = isServedState && !isMissing ? await missingFrom(old, active, name) : [];
    present.delete(name);
    const isOtherwise = onlyThere.length + different.length + deletedThere.length > 0 || isMissing;
    const deleted = isServedState ? { deletedThere } : {};
    if (isOtherwise) found.push({ name, isMissing, onlyThere, different, ...deleted });
  }
  if (!isServedState) return found;
  for (const name of present) {
    const deletedThere: PointId[] = [];
    for await (const id of active.ids(name)) deletedThere.push(id);
    found.push({ name, isMissing: false, onlyThere: [], different: [], deletedThere });
  }
  return found;
}

/** Of the points that are there, one text for equal content; undefined for one that is too large to be read. */
async function contentOf(
  database: VectorDatabase,
  collection: string,
  ids: readonly PointId[],
): Promise<ReadonlyMap<PointId, string | undefined>> {
  const found = new Map<PointId, string | undefined>();
  for await (const point of database.sketches(collection, ids)) {
    found.set(point.id, "isTooLarge" in point ? undefined : point.content);
  }
  return found;
}

/** Ids that the state has and the lost region has not. */
async function missingFrom(old: VectorDatabase, state: VectorDatabase, name: string): Promise<PointId[]> {
  const missing: PointId[] = [];
  for await (const ids of inBatches(state.ids(name))) {
    const there = await contentOf(old, name, ids);
    missing.push(...ids.filter((id) => !there.has(id)));
  }
  return missing;
}

const ids = z.array(z.union([z.number(), z.bigint(), z.string()])).readonly();

/** People read it. */
export const divergenceSchema = z.object({
  run: z.string(),
  at: z.iso.datetime(),
  collections: z.array(
    z.object({
      name: z.string(),
      isMissing: z.boolean(),
      onlyThere: ids,
      different: ids,
      deletedThere: ids.optional(),
    }),
  ),
});

export interface DivergenceRecord {
  /** The epoch that the switchover makes. */
  readonly epoch: number;
  readonly run: string;
  readonly at: Date;
  readonly collections: readonly CollectionDivergence[];
}

/** Answers the key of the record. Create-only: the first record is from before anything was overwritten. */
export async function keepDivergence(control: ObjectStore, record: DivergenceRecord): Promise<string> {
  const { at, collections, epoch, run } = record;
  const key = controlLayout.divergence(epoch, run);
  await createRecord(control, key, divergenceSchema, { run, at: at.toISOString(), collections: [...collections] });
  return key;
}

async function* inBatches(ids: AsyncIterable<PointId>): AsyncGenerator<PointId[]> {
  let batch: PointId[] = [];
  for await (const one of ids) {
    batch.push(one);
    if (batch.length < pointsAtOnce) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}
