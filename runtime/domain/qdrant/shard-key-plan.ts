/**
 * How custom shard keys are made on a target so that every shard gets the id it was captured under. Points are placed
 * within a key by its shards' ids: under other ids all reads are right, and later deletes and overwrites miss points.
 *
 * Qdrant gives the shards of a new key the ids that follow the highest one in use, beginning with 1 (tried on 1.16.3), so
 * keys are made in the order of their ids, and gaps are filled with placeholder keys that are deleted as soon as a
 * higher id is in use.
 */
import { DrError } from "../../errors.ts";
import { exactText } from "../exact-json.ts";

/** A name, or a number up to 2^64 - 1. */
export type ShardKey = string | number | bigint;

export type ShardKeyStep =
  | { readonly do: "create"; readonly key: ShardKey; readonly shards: number }
  | { readonly do: "delete"; readonly key: ShardKey };

interface KeyedShard {
  readonly id: number;
  readonly key?: ShardKey | undefined;
}

/** An empty shard takes its write-ahead log's size on disk, so that few of them exist at a time. */
const placeholderShards = 32;

/** The steps that reproduce the shards' ids. Throws NOT_SUPPORTED when none can. */
export function planShardKeys(collection: string, shards: readonly KeyedShard[]): ShardKeyStep[] {
  const steps: ShardKeyStep[] = [];
  const keys = idsByKey(collection, shards);
  const placeholders = placeholderNames(keys.map(({ key }) => key));
  let placeholder: ShardKey | undefined;
  let next = 1;
  const create = (key: ShardKey, count: number) => {
    steps.push({ do: "create", key, shards: count });
    if (placeholder !== undefined) steps.push({ do: "delete", key: placeholder });
    placeholder = undefined;
    next += count;
  };
  for (const { first, key, shards: count } of keys) {
    while (next < first) {
      const name = placeholders.next().value;
      create(name, Math.min(placeholderShards, first - next));
      placeholder = name;
    }
    create(key, count);
  }
  return steps;
}

/** What no target could be given again is not called a recovery point. Throws NOT_SUPPORTED. */
export function refuseIrreproducibleKeys(collection: string, replicas: readonly KeyedShard[]): void {
  if (replicas.every(({ key }) => key === undefined)) return;
  const shards = new Map(replicas.map(({ id, key }) => [id, { id, key }]));
  planShardKeys(collection, [...shards.values()]);
}

/** Keys with their first id and number of shards, in the order of their ids. */
function idsByKey(collection: string, shards: readonly KeyedShard[]) {
  const byKey = new Map<ShardKey, number[]>();
  for (const { id, key } of [...shards].sort((a, b) => a.id - b.id)) {
    if (key === undefined) throw irreproducible(collection, `shard ${id} belongs to no shard key`);
    byKey.set(key, [...(byKey.get(key) ?? []), id]);
  }
  return [...byKey].map(([key, ids]) => {
    const [first = 0] = ids;
    if (first < 1 || ids.some((id, rank) => id !== first + rank)) {
      throw irreproducible(
        collection,
        `Qdrant makes the shards of a key with ids that follow each other, and those of ${exactText(key)} are ${ids.join(", ")}`,
      );
    }
    return { key, first, shards: ids.length };
  });
}

function* placeholderNames(taken: readonly ShardKey[]): Generator<string, never> {
  for (let number = 1; ; number += 1) {
    const name = `qdrant-dr-placeholder-${number}`;
    if (!taken.includes(name)) yield name;
  }
}

function irreproducible(collection: string, why: string): DrError {
  return new DrError("NOT_SUPPORTED", `the shard ids of ${collection} cannot be made again elsewhere: ${why}`, {
    hint: "leave this collection out, and copy its points into a new collection with shard keys of its own",
  });
}
