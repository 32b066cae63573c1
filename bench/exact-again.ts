/** How long after an optimization ends a standby that follows is known to be exact again. */
import { systemClock } from "../runtime/time/system-clock.ts";
import { waitAtMost } from "../runtime/time/wait-until.ts";
import { call, type QdrantAddress, untilStatus } from "./qdrant-call.ts";
import type { SeenLine } from "./replication-run.ts";

const collection = "indexed-late";
const points = 20_000;
const dimensions = 64;
const againWithinMs = 60_000;

/**
 * Has the primary build an index for some seconds, with deletes meanwhile.
 * @param lines what replication says, as it goes on.
 */
export async function secondsUntilExact(
  primary: QdrantAddress,
  lines: readonly Pick<SeenLine, "asOf" | "isExact" | "seenAt">[],
): Promise<number> {
  await call(primary, "PUT", `/collections/${collection}`, {
    vectors: { size: dimensions, distance: "Euclid" },
    wal_config: { wal_capacity_mb: 1 },
    hnsw_config: { m: 32, ef_construct: 400, max_indexing_threads: 1 },
    optimizers_config: { default_segment_number: 1, indexing_threshold: 0 },
  });
  for (let from = 0; from < points; from += 1_000) {
    const many = Array.from({ length: 1_000 }, (_, n) => ({
      id: from + n,
      vector: Array.from({ length: dimensions }, () => Math.round(Math.random() * 10_000) / 10_000),
    }));
    await call(primary, "PUT", `/collections/${collection}/points?wait=true`, { points: many });
  }
  await call(primary, "PATCH", `/collections/${collection}`, { optimizers_config: { indexing_threshold: 1 } });
  await untilStatus(primary, collection, "yellow", { everyMs: 20 });
  const gone = Array.from({ length: 100 }, (_, id) => id);
  await call(primary, "POST", `/collections/${collection}/points/delete?wait=true`, { points: gone });
  await untilStatus(primary, collection, "green", { everyMs: 20 });
  const ended = Date.now();
  const exact = await waitAtMost(systemClock, { withinMs: againWithinMs, everyMs: 20 }, () =>
    lines.find(({ asOf, isExact }) => isExact && Date.parse(asOf) >= ended),
  );
  return exact === undefined ? Number.POSITIVE_INFINITY : (exact.seenAt - ended) / 1000;
}
