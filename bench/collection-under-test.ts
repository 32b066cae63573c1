/** The collection that is measured: how it is made, filled, indexed, changed and asked for its state. */
import type { QdrantServer } from "../test/support/servers/qdrant-server.ts";
import { dimensions, PointGenerator, randomFrom } from "./generated-points.ts";
import { call, untilStatus } from "./qdrant-call.ts";

export const collection = "documents";
export const shards = [0, 1] as const;
/** Of a shard's archive, measured; decides how many points make the wanted size. */
const bytesPerPoint = 2_370;
const batchSize = 1_000;
const batchesUnderWay = 4;
const indexFromKb = 10_000;

export const collectionSettings = {
  vectors: { size: dimensions, distance: "Cosine" },
  shard_number: shards.length,
  hnsw_config: { ef_construct: 64 },
};

export function pointsFor(megabytes: number): number {
  return Math.ceil((megabytes * 1_000_000) / bytesPerPoint);
}

/** Makes and fills it; returns when every segment that is to be indexed is. */
export async function fillCollection(server: QdrantServer, points: number, onProgress: (text: string) => void) {
  await call(server, "PUT", `/collections/${collection}`, {
    ...collectionSettings,
    // Nothing is indexed while points come: building the graphs once at the end is faster.
    optimizers_config: { indexing_threshold: 0 },
  });
  await call(server, "PUT", `/collections/${collection}/index?wait=true`, {
    field_name: "source",
    field_schema: "keyword",
  });
  const generator = new PointGenerator();
  await upsert(
    server,
    generator,
    Array.from({ length: points }, (_, id) => id),
    0,
    onProgress,
  );
  onProgress("indexing");
  await call(server, "PATCH", `/collections/${collection}`, { optimizers_config: { indexing_threshold: indexFromKb } });
  await waitUntilIndexed(server);
}

export interface Change {
  readonly upserted: number;
  readonly deleted: number;
}

/** Overwrites and deletes points that are scattered over the whole collection; returns when it is green again. */
export async function changeCollection(
  server: QdrantServer,
  { points, version, change }: { points: number; version: number; change: Change },
): Promise<void> {
  const random = randomFrom(version);
  const ids = new Set<number>();
  while (ids.size < change.upserted + change.deleted) ids.add(Math.floor(random() * points));
  const chosen = [...ids];
  await upsert(server, new PointGenerator(), chosen.slice(0, change.upserted), version, () => undefined);
  if (change.deleted > 0) {
    await call(server, "POST", `/collections/${collection}/points/delete?wait=true`, {
      points: chosen.slice(change.upserted),
    });
  }
  await waitUntilGreen(server);
}

async function upsert(
  server: QdrantServer,
  generator: PointGenerator,
  ids: readonly number[],
  version: number,
  onProgress: (text: string) => void,
): Promise<void> {
  const underWay = new Set<Promise<unknown>>();
  for (let from = 0; from < ids.length; from += batchSize) {
    const batch = ids.slice(from, from + batchSize).map((id) => generator.point(id, version));
    while (underWay.size >= batchesUnderWay) await Promise.race(underWay);
    const sending: Promise<unknown> = call(
      server,
      "PUT",
      `/collections/${collection}/points?wait=true`,
      `{"points":[${batch.join(",")}]}`,
    ).finally(() => underWay.delete(sending));
    underWay.add(sending);
    if (from % (20 * batchSize) === 0) onProgress(`loading ${from} of ${ids.length} points`);
  }
  await Promise.all(underWay);
}

/** Green, and still so after the optimizer had time to look again. */
function waitUntilIndexed(server: QdrantServer): Promise<void> {
  return untilStatus(server, collection, "green", { everyMs: 500, times: 4 });
}

export function waitUntilGreen(server: QdrantServer): Promise<void> {
  return untilStatus(server, collection, "green", { everyMs: 20 });
}
