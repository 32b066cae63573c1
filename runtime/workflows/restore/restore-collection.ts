/**
 * Makes one collection of a recovery point on a target that does not have it: its configuration, its shard keys with the
 * captured shard ids and its payload indexes first, all compared with what was captured, then every shard to an owner, and
 * its strict mode last.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { exactText, withPlainFloats } from "../../domain/exact-json.ts";
import { chooseReplicas } from "../../domain/qdrant/choose-replicas.ts";
import { planShardKeys, type ShardKey } from "../../domain/qdrant/shard-key-plan.ts";
import type { CapturedCollection, CapturedShard } from "../../domain/recovery-points/recovery-point.ts";
import { DrError } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Progress } from "../../ports/progress.ts";
import type { ShardPlacement, VectorDatabase } from "../../ports/qdrant.ts";
import type { OpenRepository } from "../../repository/repository.ts";
import { differencesOf, prepareSettings, setStrictMode } from "./restore-settings.ts";
import { readShardTree, wholeArchive } from "./shard-archive.ts";

/** A restored shard is loaded, not rebuilt: it is whole within seconds, or something is wrong. */
const wholeWithinMs = 10 * 60_000;

export interface CollectionTarget {
  readonly repository: OpenRepository;
  readonly target: VectorDatabase;
  readonly progress: Progress;
  /** For a copy that is to stay as it came: nothing is merged or indexed until somebody says so. */
  readonly optimizes?: boolean;
  /** Passes each archive on that is sent. */
  readonly sending?: (archive: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>;
}

export async function restoreCollection(
  { optimizes = true, progress, repository, sending = (archive) => archive, target }: CollectionTarget,
  collection: CapturedCollection,
  /** Its name on the target. */
  name: string,
): Promise<void> {
  const captured = {
    config: collection.config as Record<string, unknown>,
    payloadIndexes: collection.payloadIndexes,
  };
  const config = optimizes ? captured.config : withoutOptimizations(captured.config);
  await target.createCollection({ name, config, payloadIndexes: captured.payloadIndexes });
  await prepareSettings({ progress, target }, name, config);
  if (hasShardKeys(collection)) await makeShardKeys(target, name, collection.shards);
  for (const [field, definition] of Object.entries(captured.payloadIndexes)) {
    await target.createPayloadIndex(name, field, definition);
  }
  const { payloadIndexes } = await target.describe(name);
  // The target's own definitions would win silently over the captured ones.
  const differences = differencesOf(
    "payload_schema",
    withPlainFloats(captured.payloadIndexes),
    withPlainFloats(payloadIndexes),
  );
  if (differences.length > 0) {
    const told = differences.join("; ");
    throw new DrError("QDRANT_REFUSED", `${name}: the target made other payload indexes than captured: ${told}`);
  }
  const owners = await ownersOf(target, name, collection.shards);
  // One after another: of shards that a collection in cluster mode is given at once, some stay empty (tried on 1.16.3).
  for (const { owner, shard } of owners) {
    const tree = await readShardTree(repository, collection, shard);
    await target.restoreShard(name, owner, sending(wholeArchive(repository, tree)));
  }
  await setStrictMode(target, name, config);
}

function withoutOptimizations(config: Record<string, unknown>): Record<string, unknown> {
  const optimizers = config["optimizer_config"] as object | undefined;
  return { ...config, optimizer_config: { ...optimizers, max_optimization_threads: 0 } };
}

/** Custom sharding, of which a target outside cluster mode knows nothing. */
export function hasShardKeys(collection: CapturedCollection): boolean {
  const { params } = collection.config as { params?: { sharding_method?: string | null } };
  return params?.sharding_method === "custom";
}

/** Waits until every replica is Active and every shard is loaded. */
export async function waitUntilWhole(
  { clock, target }: { readonly clock: Clock; readonly target: VectorDatabase },
  collection: string,
): Promise<void> {
  const deadline = clock.now().getTime() + wholeWithinMs;
  for (;;) {
    const health = await target.health(collection);
    // Grey: whole, and optimizations wait for the next write. Yellow: whole, and one runs.
    if (["green", "grey", "yellow"].includes(health)) return;
    if (clock.now().getTime() > deadline) {
      throw new DrError("VERIFICATION_FAILED", `${collection} is still ${health}`, {
        hint: "look at Qdrant's log, then run the restore again",
      });
    }
    await sleep(50);
  }
}

async function makeShardKeys(target: VectorDatabase, name: string, shards: readonly CapturedShard[]): Promise<void> {
  for (const step of planShardKeys(name, shards)) {
    if (step.do === "create") await target.createShardKey(name, step);
    else await target.deleteShardKey(name, step.key);
  }
}

/** The peers of a cluster learn of shards that are made and deleted one after another. */
const placedWithin = { looks: 50, everyMs: 200 };

/** An owner of every captured shard. Throws when the target's shards are not the captured ones, by id and by key. */
async function ownersOf(
  target: VectorDatabase,
  name: string,
  captured: readonly CapturedShard[],
): Promise<{ readonly shard: CapturedShard; readonly owner: ShardPlacement }[]> {
  let owners = new Map<number, ShardPlacement>();
  for (let look = 1; look <= placedWithin.looks; look += 1) {
    if (look > 1) await sleep(placedWithin.everyMs);
    owners = new Map(chooseReplicas(await target.shards(name)).map((shard) => [shard.id, shard]));
    const pairs = captured.flatMap((shard) => {
      const owner = owners.get(shard.id);
      return owner !== undefined && owner.key === shard.key ? [{ shard, owner }] : [];
    });
    if (pairs.length === captured.length && owners.size === captured.length) return pairs;
  }
  const told = (shards: Iterable<{ readonly id: number; readonly key?: ShardKey | undefined }>) =>
    [...shards].map(({ id, key }) => (key === undefined ? `${id}` : `${id} (${exactText(key)})`)).join(", ");
  throw new DrError(
    "QDRANT_REFUSED",
    `${name}: the target has shards ${told(owners.values())} where ${told(captured)} were captured; no data was sent`,
    { hint: "delete the collection on the target and restore again, while nobody changes its shards" },
  );
}
