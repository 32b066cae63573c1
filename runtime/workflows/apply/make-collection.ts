/**
 * Makes one collection of a recovery point on a target that does not have it: its configuration, its shard keys with the
 * captured shard ids and its payload indexes first, all compared with what was captured, then every shard to an owner, and
 * its strict mode last.
 */
import { forEachConcurrently } from "../../async/for-each-concurrently.ts";
import type { Semaphore } from "../../async/semaphore.ts";
import { exactText, isRecord, withPlainFloats } from "../../domain/exact-json.ts";
import { chooseReplicas } from "../../domain/qdrant/choose-replicas.ts";
import { planShardKeys, type ShardKey } from "../../domain/qdrant/shard-key-plan.ts";
import { DrError } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Progress } from "../../ports/progress.ts";
import type { CreationOutcome, OtherReplicas, ShardPlacement, VectorDatabase } from "../../ports/qdrant.ts";
import { waitUntil } from "../../time/wait-until.ts";
import { differencesOf, prepareSettings, type Settings, setStrictMode } from "./collection-settings.ts";

/** A restored shard is loaded, not rebuilt: it is whole within seconds, or something is wrong. */
const isWhole = { withinMs: 10 * 60_000, everyMs: 50 };
/** While Qdrant unpacks and loads one shard, the next is sent. */
const shardsAtOnce = 2;
/** The peers of a cluster learn of shards that are made and deleted one after another. */
const isPlaced = { withinMs: 10_000, everyMs: 200 };

export interface CollectionTools {
  readonly target: VectorDatabase;
  readonly clock: Clock;
  readonly progress: Progress;
  readonly signal?: AbortSignal | undefined;
  /** Has a permit for each archive that is sent: each is unpacked on the target's disk, and takes some 30 MiB here. */
  readonly archives: Semaphore;
  /** Lets collections be defined as many at a time as the target takes. */
  readonly definitions: Semaphore;
  /** Passes each archive on that is sent. */
  sending(archive: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array>;
  /** Hears what came of the creation as soon as that is known for certain. */
  onCreation(outcome: CreationOutcome): void;
  /** Hears that all shards are loaded: clients that know the name can use the collection. */
  onLoaded(): void;
}

/** What a shard is on every server that holds it. */
export interface NamedShard {
  readonly id: number;
  readonly key?: ShardKey | undefined;
}

export interface DescribedCollection {
  readonly name: string;
  /** Qdrant's `config`, whole. */
  readonly config: unknown;
  readonly payloadIndexes: Readonly<Record<string, unknown>>;
}

export interface CollectionToMake<Shard extends NamedShard> {
  readonly captured: DescribedCollection & { readonly shards: readonly Shard[] };
  /** What an upload of the whole shard takes. */
  archiveOf(shard: Shard): Promise<AsyncIterable<Uint8Array>>;
  /** Its name on the target. */
  readonly name: string;
  /** False for a copy that is to stay as it came: nothing is merged or indexed until somebody says so. */
  readonly optimizes: boolean;
}

export async function makeCollection<Shard extends NamedShard>(
  tools: CollectionTools,
  { archiveOf, captured, name, optimizes }: CollectionToMake<Shard>,
): Promise<void> {
  const { archives, definitions, onLoaded, sending, signal, target } = tools;
  const capturedConfig = configOf(captured);
  const config = optimizes ? capturedConfig : withoutOptimizations(capturedConfig);
  await definitions.run(() => define(tools, { captured, config, name }));
  const placed = await placesOf(tools, name, captured.shards);
  // Of shards that a collection in cluster mode is given at once, some stay empty (tried on 1.16.3).
  const atOnce = placed.length > 1 && !(await target.isClustered()) ? shardsAtOnce : 1;
  await forEachConcurrently(atOnce, placed, ({ others, replicas, shard }) =>
    archives.run(async () => {
      for (const replica of replicas) {
        signal?.throwIfAborted();
        await target.restoreShard(name, replica, sending(await archiveOf(shard)), others);
      }
    }),
  );
  onLoaded();
  await setStrictMode(target, name, config);
}

/** All but its data. */
async function define(
  tools: CollectionTools,
  { captured, config, name }: Pick<CollectionToMake<NamedShard>, "captured" | "name"> & { readonly config: Settings },
): Promise<void> {
  const { onCreation, target } = tools;
  await target.createCollection({ name, config, payloadIndexes: captured.payloadIndexes }, onCreation);
  await prepareSettings(tools, name, config);
  if (hasShardKeys(captured)) await makeShardKeys(target, name, captured.shards);
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
}

/** Qdrant's `config` of a captured collection. Throws OBJECT_CORRUPT when it is none. */
function configOf({ config, name }: Omit<DescribedCollection, "payloadIndexes">): Readonly<Record<string, unknown>> {
  if (isRecord(config)) return config;
  throw new DrError("OBJECT_CORRUPT", `the recovery point holds no configuration of ${name}`, {
    hint: "use another recovery point",
  });
}

function withoutOptimizations(config: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const optimizers = config["optimizer_config"];
  return {
    ...config,
    optimizer_config: { ...(isRecord(optimizers) ? optimizers : {}), max_optimization_threads: 0 },
  };
}

/** Custom sharding, of which a target outside cluster mode knows nothing. */
export function hasShardKeys({ config }: Pick<DescribedCollection, "config">): boolean {
  const params = isRecord(config) ? config["params"] : undefined;
  return isRecord(params) && params["sharding_method"] === "custom";
}

/** Waits until every replica is Active and every shard is loaded. */
export async function waitUntilWhole(
  { clock, signal, target }: Pick<CollectionTools, "clock" | "signal" | "target">,
  collection: string,
): Promise<void> {
  let health = "not known to be whole";
  await waitUntil(
    clock,
    {
      ...isWhole,
      signal,
      what: `${collection} to be whole`,
      expired: () =>
        new DrError("VERIFICATION_FAILED", `${collection} is still ${health}`, {
          hint: "look at Qdrant's log, then run it again",
        }),
    },
    async () => {
      health = await target.health(collection);
      // Grey: whole, and optimizations wait for the next write. Yellow: whole, and one runs.
      return ["green", "grey", "yellow"].includes(health);
    },
  );
}

async function makeShardKeys(target: VectorDatabase, name: string, shards: readonly NamedShard[]): Promise<void> {
  for (const step of planShardKeys(name, shards)) {
    if (step.do === "create") await target.createShardKey(name, step);
    else await target.deleteShardKey(name, step.key);
  }
}

interface PlacedShard<Shard> {
  readonly shard: Shard;
  /** Those that are given the shard, and what becomes of its others. */
  readonly replicas: readonly ShardPlacement[];
  readonly others: OtherReplicas;
}

/**
 * Where every captured shard goes: to all its replicas, so that they are the same, or, where one of any cannot be reached, to one that
 * the others follow. Throws when the target's shards are not the captured ones, by id and by key.
 */
async function placesOf<Shard extends NamedShard>(
  { clock, signal, target }: Pick<CollectionTools, "clock" | "signal" | "target">,
  name: string,
  captured: readonly Shard[],
): Promise<readonly PlacedShard<Shard>[]> {
  let found: readonly ShardPlacement[] = [];
  return waitUntil(
    clock,
    {
      ...isPlaced,
      signal,
      what: `the shards of ${name}`,
      expired: () =>
        new DrError(
          "QDRANT_REFUSED",
          `${name}: the target has shards ${formatShards(found)} where ${formatShards(captured)} were captured; no data was sent`,
          {
            hint: "let nobody change the collection's shards, delete what is left of it on the target, and do it again",
          },
        ),
    },
    async () => {
      const { absent, shards } = await target.layout(name);
      found = chooseReplicas(shards);
      const placed = captured.flatMap((shard): PlacedShard<Shard>[] => {
        const all = shards.filter(({ id, key }) => id === shard.id && key === shard.key);
        const [first] = all;
        if (first === undefined) return [];
        const isForAll = absent === 0 && all.length > 1;
        return [isForAll ? { shard, replicas: all, others: "stay" } : { shard, replicas: [first], others: "follow" }];
      });
      return placed.length === captured.length && found.length === captured.length && placed;
    },
  );
}

function formatShards(shards: readonly NamedShard[]): string {
  return shards.map(({ id, key }) => (key === undefined ? `${id}` : `${id} (${exactText(key)})`)).join(", ");
}
