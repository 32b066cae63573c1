/**
 * What a region that was given up in a failover holds and the active one does not, id by id: writes that were acknowledged
 * there after the last state that reached the other side, or while both served. To be kept before it is overwritten.
 */
import { z } from "zod";
import { canonicalJson } from "../../domain/exact-json.ts";
import { controlLayout } from "../../domain/recovery-points/store-layout.ts";
import type { ObjectStore } from "../../ports/object-store.ts";
import type { PointId, VectorDatabase } from "../../ports/qdrant.ts";
import { createRecord } from "../../repository/record.ts";

const pointsAtOnce = 500;

export interface CollectionDivergence {
  readonly name: string;
  /** The active region has no such collection. */
  readonly isMissing: boolean;
  /** In the old region only: written there last, or deleted in the active one since. */
  readonly onlyThere: readonly PointId[];
  /** In both, with other payload or vectors. */
  readonly different: readonly PointId[];
  /** In the other state only: known when nobody has written to that since. */
  readonly deletedThere?: readonly PointId[];
}

/**
 * Holds the ids of what differs, and a few hundred points at a time.
 *
 * @param isServedState `active` is as it was when the old region was given up, so that what only it has was deleted there.
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
      const [there, here] = await Promise.all([old.points(name, ids), isMissing ? [] : active.points(name, ids)]);
      const byId = new Map(here.map((point) => [point.id, point]));
      for (const point of there) {
        const other = byId.get(point.id);
        if (other === undefined) onlyThere.push(point.id);
        else if (canonicalJson(other) !== canonicalJson(point)) different.push(point.id);
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

/** Ids that the state has and the old region has not. */
async function missingFrom(old: VectorDatabase, state: VectorDatabase, name: string): Promise<PointId[]> {
  const missing: PointId[] = [];
  for await (const ids of inBatches(state.ids(name))) {
    const there = new Set((await old.points(name, ids)).map(({ id }) => id));
    missing.push(...ids.filter((id) => !there.has(id)));
  }
  return missing;
}

const ids = z.array(z.union([z.number(), z.bigint(), z.string()])).readonly();

/** Read by people. */
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

/** Create-only: what was found first is what was there before anything was overwritten. */
export async function keepDivergence(
  control: ObjectStore,
  epoch: number,
  run: string,
  collections: readonly CollectionDivergence[],
): Promise<string> {
  const key = controlLayout.divergence(epoch, run);
  const at = new Date().toISOString();
  await createRecord(control, key, divergenceSchema, { run, at, collections: [...collections] });
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
