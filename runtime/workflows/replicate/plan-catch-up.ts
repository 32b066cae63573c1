/** What a target lacks to hold a recovery point: collection by collection, shard by shard. */
import { forEachConcurrently } from "../../async/for-each-concurrently.ts";
import { chooseReplicas } from "../../domain/qdrant/choose-replicas.ts";
import { markOfSegments, markOfSettings } from "../../domain/qdrant/shard-mark.ts";
import type { CapturedCollection, CapturedShard, RecoveryPoint } from "../../domain/recovery-points/recovery-point.ts";
import { checkRestorable } from "../../domain/recovery-points/version-rule.ts";
import { DrError, hasCode } from "../../errors.ts";
import type { CollectionDescription, ShardPlacement, VectorDatabase } from "../../ports/qdrant.ts";
import type { HeldCollection, StandbyNews } from "../../repository/control/standby-records.ts";
import { refuseLostShardKeys } from "../restore/restore-recovery-point.ts";
import type { StandbyRestoreDetector } from "./standby-restore-detector.ts";

const collectionsAtOnce = 4;

export interface ShardWork {
  readonly shard: CapturedShard;
  readonly owner: ShardPlacement;
  /** "difference" from the tree that it holds. */
  readonly do: "keep" | "whole" | { readonly differenceFrom: string };
}

export interface CollectionWork {
  readonly captured: CapturedCollection;
  /** "replace" drops the target's copy first. */
  readonly do: "make" | "replace" | "update";
  /** Of an update. */
  readonly shards: readonly ShardWork[];
}

export interface CatchUpPlan {
  readonly collections: readonly CollectionWork[];
  /** Collections that replication made and the recovery point does not hold. */
  readonly gone: readonly HeldCollection[];
  /** The same, of those that replication was cut off in making. */
  readonly unfinished: readonly string[];
  /** Collections of the target that nobody here knows. */
  readonly foreign: readonly string[];
}

export interface CatchUpTarget {
  readonly recoveryPoint: RecoveryPoint;
  readonly target: VectorDatabase;
  /** Collections of the recovery point's names that replication did not make. */
  readonly existing: "refuse" | "replace";
}

/** Throws when the recovery point must not or cannot be put there; changes nothing. */
export async function planCatchUp(
  { existing, recoveryPoint, target }: CatchUpTarget,
  news: StandbyNews,
  pasts: StandbyRestoreDetector,
): Promise<CatchUpPlan> {
  if (recoveryPoint.qdrantVersion === undefined) {
    throw new DrError(
      "RECOVERY_POINT_NOT_FOUND",
      `${recoveryPoint.id} holds ${recoveryPoint.kinds.join(", ")}, and nothing of Qdrant`,
    );
  }
  checkRestorable(recoveryPoint.qdrantVersion, await target.version());
  await refuseLostShardKeys(
    target,
    recoveryPoint.collections.map((captured) => ({ captured, name: captured.name })),
  );
  const present = new Set(await target.collections());
  const held = new Map((news.held?.collections ?? []).map((collection) => [collection.name, collection]));
  const unfinished = new Set<string>();
  for (const name of new Set(news.making.map(({ name }) => name))) {
    if (present.has(name) && !held.has(name) && (await isOwnWork(target, name))) unfinished.add(name);
  }
  const taken = recoveryPoint.collections
    .map(({ name }) => name)
    .filter((name) => present.has(name) && !held.has(name) && !unfinished.has(name));
  if (existing === "refuse" && taken.length > 0) {
    throw new DrError("TARGET_NOT_EMPTY", `${taken.join(", ")} is there already, and replication did not make it`, {
      hint: "nothing was changed. A region that was lost in a failover may hold the last writes of its clients (`qdrant-dr divergence` lists them). If they may be lost, repeat with --replace-existing, or delete the collections yourself",
    });
  }
  const works = new Map<string, CollectionWork>();
  await forEachConcurrently(collectionsAtOnce, recoveryPoint.collections, async (captured) => {
    const known = held.get(captured.name);
    if (!present.has(captured.name)) works.set(captured.name, { captured, do: "make", shards: [] });
    else if (known === undefined) works.set(captured.name, { captured, do: "replace", shards: [] });
    else works.set(captured.name, await planUpdate(target, captured, known, pasts));
  });
  const collections = recoveryPoint.collections.flatMap(({ name }) => works.get(name) ?? []);
  const isInRecoveryPoint = (name: string) => recoveryPoint.collections.some((collection) => collection.name === name);
  return {
    collections,
    gone: [...held.values()].filter(({ name }) => !isInRecoveryPoint(name) && present.has(name)),
    unfinished: [...unfinished].filter((name) => !isInRecoveryPoint(name)),
    foreign: [...present].filter((name) => !isInRecoveryPoint(name) && !held.has(name) && !unfinished.has(name)),
  };
}

/**
 * Whether what stands under a name that replication set out to make is what it made. Somebody else may have made it first:
 * theirs optimizes, and replication's never does from its first moment on. Throws when Qdrant does not tell for another reason
 * than that it is half-made.
 */
async function isOwnWork(target: VectorDatabase, name: string): Promise<boolean> {
  return (await target.isHalfMade(name)) || !optimizes(await target.describe(name));
}

function optimizes({ config }: CollectionDescription): boolean {
  const { max_optimization_threads } = (config["optimizer_config"] ?? {}) as { max_optimization_threads?: unknown };
  return max_optimization_threads !== 0;
}

async function planUpdate(
  target: VectorDatabase,
  captured: CapturedCollection,
  held: HeldCollection,
  pasts: StandbyRestoreDetector,
): Promise<CollectionWork> {
  const { name } = captured;
  const replace = { captured, do: "replace", shards: [] } as const;
  if (held.made !== markOfSettings(captured, captured.shards)) return replace;
  const described = await describe(target, name);
  if (described?.mark !== held.described || described.optimizes) return replace;
  const work: ShardWork[] = [];
  for (const shard of captured.shards) {
    const owner = described.owners.find(({ id }) => id === shard.id);
    if (owner === undefined) return replace;
    const before = held.shards.find(({ id }) => id === shard.id);
    const segments = (await pasts.isAsRecorded(owner)) ? await target.segments(name, owner) : undefined;
    const isStanding = segments !== undefined && before?.segments === markOfSegments(segments);
    if (!isStanding || before === undefined) work.push({ shard, owner, do: "whole" });
    else if (before.tree === shard.tree.id) work.push({ shard, owner, do: "keep" });
    // Of several replicas a difference would reach one only.
    else if (described.replicas > captured.shards.length) work.push({ shard, owner, do: "whole" });
    else work.push({ shard, owner, do: { differenceFrom: before.tree } });
  }
  return { captured, do: "update", shards: work };
}

export interface DescribedCollection {
  /** Of its settings, as the target describes them. */
  readonly mark: string;
  readonly optimizes: boolean;
  readonly owners: readonly ShardPlacement[];
  readonly replicas: number;
}

/** Undefined when Qdrant cannot tell: a shard of it is half-made. */
export async function describe(target: VectorDatabase, name: string): Promise<DescribedCollection | undefined> {
  try {
    const description = await target.describe(name);
    const { config, payloadIndexes } = description;
    const replicas = await target.shards(name);
    const owners = chooseReplicas(replicas);
    return {
      mark: markOfSettings({ config, payloadIndexes }, owners),
      optimizes: optimizes(description),
      owners,
      replicas: replicas.length,
    };
  } catch (error) {
    if (hasCode(error, "QDRANT_REFUSED")) return undefined;
    throw error;
  }
}
