/**
 * Whether a standby that calls itself exact is: cycles under writers that upsert and delete while segments merge and indexes
 * are built, each held against what was acknowledged when.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { StandbyPair } from "../test/support/estates/standby-pair.ts";
import { seeded } from "../test/support/seeded.ts";
import type { Scratch } from "./scratch.ts";

export interface ExactRounds {
  readonly rounds: number;
  readonly exact: number;
  /** Rounds whose standby called itself exact and was wrong in some point. */
  readonly wrongExact: number;
  readonly wrongProvisional: number;
  /** Points that were wrong in those. */
  readonly undoneDeletes: number;
  readonly lost: number;
  readonly writes: number;
  readonly deletes: number;
  readonly wholeShards: number;
  readonly differences: number;
  readonly seconds: number;
}

const collection = "churn";
const writers = 3;
const idsPerWriter = 2_000;
const longestPauseMs = 150;

interface Write {
  /** 0 for a delete. */
  readonly version: number;
  readonly sentAt: number;
  ackedAt: number;
}

export async function measureExactRounds(
  scratch: Scratch,
  { rounds, seed }: { readonly rounds: number; readonly seed: number },
  say: (text: string) => void,
): Promise<ExactRounds> {
  const pair = await StandbyPair.start();
  scratch.defer(() => pair.stop());
  const begun = performance.now();
  await pair.client.createCollection(collection, {
    vectors: { size: 32, distance: "Euclid" },
    wal_config: { wal_capacity_mb: 1 },
    optimizers_config: {
      default_segment_number: 2,
      max_segment_size: 300,
      indexing_threshold: 50,
      flush_interval_sec: 1,
      deleted_threshold: 0.1,
      vacuum_min_vector_number: 200,
    },
  });
  const history = new Map<number, Write[]>();
  const counts = { writes: 0, deletes: 0 };
  let version = 0;
  let isRunning = true;
  const logged = async (ids: readonly number[], writtenAs: number, act: () => Promise<unknown>) => {
    const write: Write = { version: writtenAs, sentAt: Date.now(), ackedAt: Number.POSITIVE_INFINITY };
    for (const id of ids) history.set(id, [...(history.get(id) ?? []).slice(-200), write]);
    await act();
    write.ackedAt = Date.now();
    counts.writes += 1;
  };
  const upsert = (ids: readonly number[]) => {
    version += 1;
    const now = version;
    const points = ids.map((id) => ({ id, payload: { version: now }, vector: vectorOf(id, now) }));
    return logged(ids, now, () => pair.client.upsert(collection, { wait: true, points }));
  };
  const write = async (writer: number) => {
    const random = seeded(seed * 100 + writer);
    while (isRunning) {
      const ids = new Set<number>();
      const size = 5 + Math.floor(random() * 40);
      while (ids.size < size) ids.add(writer * idsPerWriter + Math.floor(random() * idsPerWriter));
      if (random() < 0.35) {
        counts.deletes += 1;
        await logged([...ids], 0, () => pair.client.delete(collection, { wait: true, points: [...ids] }));
      } else await upsert([...ids]);
      await sleep(random() * longestPauseMs);
    }
  };
  const all = Array.from({ length: writers * idsPerWriter }, (_, id) => id);
  for (let from = 0; from < all.length; from += 500) await upsert(all.slice(from, from + 500));
  const writing = Array.from({ length: writers }, (_, writer) => write(writer));
  const result = {
    exact: 0,
    wrongExact: 0,
    wrongProvisional: 0,
    undoneDeletes: 0,
    lost: 0,
    wholeShards: 0,
    differences: 0,
  };
  try {
    const replication = await pair.replication();
    for (let round = 1; round <= rounds; round += 1) {
      const cycle = await replication.cycle();
      const appliedAt = Date.now();
      const found = new Map<number, number>();
      const ids: number[] = [];
      for await (const id of pair.standby.ids(collection)) ids.push(Number(id));
      for (let from = 0; from < ids.length; from += 2_000) {
        for (const { id, payload, vector } of await pair.standby.points(collection, ids.slice(from, from + 2_000))) {
          const held = (payload as { version: number }).version;
          // A vector of another write than the payload: torn.
          const isWhole = JSON.stringify(vector) === JSON.stringify(vectorOf(Number(id), held));
          found.set(Number(id), isWhole ? held : -1);
        }
      }
      let undone = 0;
      let lost = 0;
      for (const [id, writes] of history) {
        const held = found.get(id) ?? 0;
        if (allowed(writes, Date.parse(cycle.asOf), appliedAt).has(held)) continue;
        if (held > 0 && writes.findLast(({ ackedAt }) => ackedAt < Date.parse(cycle.asOf))?.version === 0) undone += 1;
        else lost += 1;
      }
      result.undoneDeletes += undone;
      result.lost += lost;
      result.wholeShards += cycle.shards.whole;
      result.differences += cycle.shards.difference;
      if (cycle.isExact) result.exact += 1;
      if (undone + lost > 0) result[cycle.isExact ? "wrongExact" : "wrongProvisional"] += 1;
      if (round % 10 === 0) say(`round ${round} of ${rounds}: ${JSON.stringify(result)}`);
    }
  } finally {
    isRunning = false;
    await Promise.allSettled(writing);
  }
  return { rounds, ...result, ...counts, seconds: (performance.now() - begun) / 1000 };
}

/** The versions that a point may have in a state that holds all that was acknowledged before `from`. */
function allowed(writes: readonly Write[], from: number, until: number): Set<number> {
  const settled = writes.findLastIndex(({ ackedAt }) => ackedAt < from);
  const later = writes.slice(settled + 1).filter(({ sentAt }) => sentAt <= until);
  return new Set([writes[settled]?.version ?? 0, ...later.map(({ version }) => version)]);
}

function vectorOf(id: number, version: number): number[] {
  return Array.from({ length: 32 }, (_, n) => (n === 0 ? id : n === 1 ? version : (id * 31 + version * 7 + n) % 97));
}
