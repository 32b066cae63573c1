/**
 * Plans how a Qdrant comes to hold a recovery point, collection by collection and shard by shard: what stands is recognised and
 * left alone, what changed is sent as a difference, all else is made anew.
 */
import { forEachConcurrently } from "../../async/for-each-concurrently.ts";
import { planShardKeys } from "../../domain/qdrant/shard-key-plan.ts";
import { areAsMarked, markOfSettings } from "../../domain/qdrant/shard-mark.ts";
import { lackedCollections } from "../../domain/recovery-points/missing.ts";
import type { CapturedShard, CollectionWithFacts, RecoveryPoint } from "../../domain/recovery-points/recovery-point.ts";
import { checkRestorable } from "../../domain/recovery-points/version-rule.ts";
import { DrError, hasCode, toDrError } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { ShardPlacement, VectorDatabase } from "../../ports/qdrant.ts";
import type { HeldCollection } from "../../repository/control/standby-records.ts";
import type { AliasPlan, AliasSwap } from "./aliases.ts";
import { collectionsAtOnce } from "./collections-at-once.ts";
import { describeCollection, readSegments } from "./describe-collection.ts";
import { hasShardKeys } from "./make-collection.ts";

/** A drop on the source may have been a mistake: the target's copy is kept for a while. */
const dropsFollowMs = 24 * 60 * 60_000;

export interface WantedCollection {
  readonly captured: CollectionWithFacts;
  /** Its name on the target. */
  readonly name: string;
}

export type PlannedShard = { readonly shard: CapturedShard; readonly replicas: readonly ShardPlacement[] } & (
  | { readonly action: "keep" | "whole" }
  /** `from` is the tree that the shard holds now. */
  | { readonly action: "difference"; readonly from: string }
);

export interface PlannedCollection extends WantedCollection {
  /** "replace" deletes the target's copy first. */
  readonly action: "make" | "replace" | "update" | "keep";
  /** Shards of a collection that exists already. A collection that is made gets all of its shards whole. */
  readonly shards: readonly PlannedShard[];
}

export interface PlannedDrop {
  readonly name: string;
  readonly because: string;
}

/** A Qdrant that is known by its address only. */
export interface NamedTarget {
  readonly name: string;
  /** Marks of the processes that answered there: another server may at the same address, later. */
  readonly processes: readonly string[];
}

export interface ImpossibleCollection {
  readonly name: string;
  readonly problem: DrError;
}

/** How a plan is carried out. */
export interface ApplyRules {
  /** Compare all collections afterwards, or only those that were changed. */
  readonly compare: "changed" | "all";
  /** False for collections that are to stay as they came: nothing is merged or indexed until somebody says so. */
  readonly optimizes: boolean;
  /** What becomes of collections that were made when the run fails. "leave": the next run recognises them. */
  readonly onFailure: "remove" | "leave";
}

/** All that a run does which makes a target hold a recovery point: whoever carries it out knows nothing else. */
export interface ApplyPlan extends ApplyRules {
  readonly recoveryPoint: RecoveryPoint;
  /** Absent for the region's own Qdrant. */
  readonly named?: NamedTarget | undefined;
  readonly collections: readonly PlannedCollection[];
  /** Deleted when all collections are as they should be. */
  readonly drop: readonly PlannedDrop[];
  /** Collections that an earlier run brought, the recovery point does not hold, and that are not dropped yet. */
  readonly gone: readonly HeldCollection[];
  /** Collections that an earlier run brought and that this capture could not read, or left out: they stay as they are. */
  readonly unread: readonly HeldCollection[];
  /** Collections of the target that no run here made: left alone. */
  readonly foreign: readonly string[];
  /** Collections that the target cannot hold: they are left out. */
  readonly impossible?: readonly ImpossibleCollection[] | undefined;
  /** Set when all collections are compared. */
  readonly aliases: AliasPlan;
  /** Moved when the end of the run is recorded. */
  readonly swap?: AliasSwap | undefined;
}

export interface StandingCollections {
  /** As the last run left them. */
  readonly held: readonly HeldCollection[];
  /** Whether nothing else was restored into the shard's peer since it was recorded. */
  isAsRecorded(shard: ShardPlacement): Promise<boolean>;
}

/** What records of earlier runs say of the target. */
export interface KnownTarget {
  /** What earlier runs brought and this one goes on from; absent for a restore, which never goes on from what stands. */
  readonly standing?: StandingCollections | undefined;
  /** Names among those present of what an earlier run left half-made and may be thrown away: none of those held. */
  unfinishedAmong(present: ReadonlySet<string>): Promise<readonly string[]>;
  /** The refusal of collections that stand there and must not be replaced. */
  refusalOf(taken: readonly string[]): DrError;
}

export interface ApplyRequest extends ApplyRules {
  readonly recoveryPoint: RecoveryPoint;
  readonly target: VectorDatabase;
  readonly named?: NamedTarget | undefined;
  readonly collections: readonly WantedCollection[];
  /** Collections of the wanted names that no run here made. */
  readonly existing: "refuse" | "replace";
  readonly aliases: AliasPlan;
  readonly known: KnownTarget;
  readonly clock: Clock;
}

/** Throws when the recovery point must not or cannot be put there; changes nothing. */
export async function planApply(request: ApplyRequest): Promise<ApplyPlan> {
  const { aliases, collections: wanted, compare, existing, known, named, recoveryPoint, target } = request;
  const { onFailure, optimizes } = request;
  checkRestorable(qdrantVersionOf(recoveryPoint), await target.version());
  const present = new Set(await target.collections());
  const standing = known.standing?.held ?? [];
  const held = new Map(standing.map((collection) => [collection.name, collection]));
  const unfinished = await known.unfinishedAmong(present);
  const taken = wanted
    .map(({ name }) => name)
    .filter((name) => present.has(name) && !held.has(name) && !unfinished.includes(name));
  if (existing === "refuse" && taken.length > 0) throw known.refusalOf(taken);
  const [lost] = await withoutShardKeys(target, wanted);
  if (lost !== undefined) throw lost.problem;
  const planned = new Map<string, PlannedCollection>();
  await forEachConcurrently(collectionsAtOnce, wanted, async (each) => {
    const before = held.get(each.name);
    if (!present.has(each.name)) planned.set(each.name, { ...each, action: "make", shards: [] });
    else if (before === undefined || known.standing === undefined)
      planned.set(each.name, { ...each, action: "replace", shards: [] });
    else planned.set(each.name, await planStanding(target, each, before, known.standing));
  });
  const collections = wanted.flatMap(({ name }) => planned.get(name) ?? []);
  const isWanted = (name: string) => wanted.some((each) => each.name === name);
  // What was not captured was not dropped: it stays as it is.
  const unread = new Set([...lackedCollections(recoveryPoint), ...(recoveryPoint.excluded ?? [])]);
  const unreadHeld = standing.filter(({ name }) => unread.has(name) && !isWanted(name) && present.has(name));
  const gone = standing.filter(({ name }) => !isWanted(name) && !unread.has(name) && present.has(name));
  const now = request.clock.now().getTime();
  const isDue = ({ goneSince }: HeldCollection) =>
    goneSince !== undefined && now - Date.parse(goneSince) >= dropsFollowMs;
  return {
    recoveryPoint,
    named,
    collections,
    drop: [
      ...unfinished
        .filter((name) => !isWanted(name) && !unread.has(name))
        .map((name) => ({ name, because: "the source dropped it before it was whole here" })),
      ...gone.filter(isDue).map(({ goneSince, name }) => ({ name, because: `the source dropped it at ${goneSince}` })),
    ],
    gone: gone.filter((each) => !isDue(each)),
    unread: unreadHeld,
    foreign: [...present].filter((name) => !isWanted(name) && !held.has(name) && !unfinished.includes(name)),
    aliases,
    compare,
    optimizes,
    onFailure,
  };
}

/** A collection that is created by the plan. */
export function isMade({ action }: PlannedCollection): boolean {
  return action === "make" || action === "replace";
}

/** Throws RECOVERY_POINT_NOT_FOUND when the recovery point holds nothing of Qdrant. */
export function qdrantVersionOf({ id, kinds, qdrantVersion }: RecoveryPoint): string {
  if (qdrantVersion !== undefined) return qdrantVersion;
  throw new DrError("RECOVERY_POINT_NOT_FOUND", `${id} holds ${kinds.join(", ")}, and nothing of Qdrant`, {
    hint: "`qdrant-dr recovery-points list` shows what each recovery point holds",
  });
}

/** Those whose shard keys cannot be made again on the target as they were. */
export async function withoutShardKeys(
  target: VectorDatabase,
  collections: readonly WantedCollection[],
): Promise<readonly ImpossibleCollection[]> {
  const withKeys = collections.filter(({ captured }) => hasShardKeys(captured));
  const isClustered = withKeys.length === 0 || (await target.isClustered());
  return withKeys.flatMap(({ captured, name }) => {
    try {
      planShardKeys(name, captured.shards);
    } catch (error) {
      if (!hasCode(error, "NOT_SUPPORTED")) throw error;
      return [{ name, problem: toDrError(error) }];
    }
    if (isClustered) return [];
    const problem = new DrError(
      "NOT_SUPPORTED",
      `${name} has custom shard keys, and the target does not run in cluster mode`,
      { hint: "start the target's Qdrant with QDRANT__CLUSTER__ENABLED=true and --uri: one node is enough" },
    );
    return [{ name, problem }];
  });
}

async function planStanding(
  target: VectorDatabase,
  wanted: WantedCollection,
  held: HeldCollection,
  standing: StandingCollections,
): Promise<PlannedCollection> {
  const { captured, name } = wanted;
  const replace: PlannedCollection = { ...wanted, action: "replace", shards: [] };
  if (held.made !== markOfSettings(captured, captured.shards)) return replace;
  const described = await describeCollection(target, name);
  if (described?.mark !== held.described || described.optimizes) return replace;
  const shards: PlannedShard[] = [];
  for (const shard of captured.shards) {
    const replicas = described.replicas.filter(({ id }) => id === shard.id);
    if (replicas.length === 0) return replace;
    const before = held.shards.find(({ id }) => id === shard.id);
    if (before === undefined || !(await stand(target, name, replicas, before, standing)))
      shards.push({ shard, replicas, action: "whole" });
    else if (before.tree === shard.tree.id) shards.push({ shard, replicas, action: "keep" });
    else if (replicas.every(({ peer }) => holdsAll(peer, captured.shards, described.replicas)))
      shards.push({ shard, replicas, action: "difference", from: before.tree });
    else shards.push({ shard, replicas, action: "whole" });
  }
  return { ...wanted, action: shards.every(({ action }) => action === "keep") ? "keep" : "update", shards };
}

/** A peer that lacks a shard of the collection takes no difference: Qdrant looks for all of its payload indexes there (1.16.3). */
function holdsAll(peer: number, shards: readonly CapturedShard[], replicas: readonly ShardPlacement[]): boolean {
  return shards.every(({ id }) => replicas.some((replica) => replica.id === id && replica.peer === peer));
}

/** Whether all of them are as the last run left them. */
async function stand(
  target: VectorDatabase,
  name: string,
  replicas: readonly ShardPlacement[],
  before: HeldCollection["shards"][number],
  standing: StandingCollections,
): Promise<boolean> {
  for (const replica of replicas) if (!(await standing.isAsRecorded(replica))) return false;
  const read = await readSegments(target, name, replicas);
  return read !== undefined && areAsMarked(read, before.segments);
}
