/**
 * Restores a recovery point into a Qdrant that does not hold its collections: newest configuration and payload indexes
 * first, then every shard to its owner, then waits until all is whole, compares, and sets the aliases last.
 */
import { atOnce } from "../domain/at-once.ts";
import { newId } from "../domain/identifier.ts";
import type { CapturedCollection, RecoveryPoint } from "../domain/recovery-point.ts";
import { planShardKeys } from "../domain/shard-key-plan.ts";
import { checkRestorable } from "../domain/version-rule.ts";
import { DrError } from "../errors.ts";
import type { Clock, Progress, VectorDatabase } from "../ports.ts";
import type { OpenRepository } from "../repository/repository.ts";
import { recordRestoreEnd, recordRestoreStart, unfinishedCollections } from "../repository/restore-records.ts";
import { compareWithObservation } from "./observe-collection.ts";
import { hasShardKeys, restoreCollection, waitUntilWhole } from "./restore-collection.ts";

/** Each holds a few megabytes here, and the unpacked shard twice on the target's disk. */
const collectionsAtOnce = 3;

export interface RestoreReport {
  readonly point: string;
  readonly time: string;
  readonly collections: number;
  readonly points: number;
  readonly seconds: number;
}

export interface RestoreRequest {
  readonly repository: OpenRepository;
  readonly point: RecoveryPoint;
  readonly target: VectorDatabase;
  /** Names of the collections wanted; all of the point's when left out. */
  readonly only?: readonly string[];
  /** The failover that this is a step of: what its earlier runs left half-made is thrown away first. */
  readonly epoch?: number;
  /** Throw away what any earlier restore left half-made, as its records say; whoever asks knows that it is not in use. */
  readonly discardUnfinished?: boolean;
  readonly clock: Clock;
  readonly progress: Progress;
}

export interface RestorePlan {
  readonly collections: readonly CapturedCollection[];
  /** Half-made by an earlier restore that did not end: thrown away first. */
  readonly discard: readonly string[];
}

/** What a restore would do. Throws when it must not be done: nothing has been touched then. */
export async function planRestore(request: RestoreRequest): Promise<RestorePlan> {
  const { discardUnfinished = false, epoch, only, point, repository, target } = request;
  if (point.qdrantVersion === undefined) {
    throw new DrError("POINT_NOT_FOUND", `${point.id} holds ${point.kinds.join(", ")}, and nothing of Qdrant`, {
      hint: "`qdrant-dr points` shows what each point holds",
    });
  }
  checkRestorable(point.qdrantVersion, await target.version());
  const unknown = (only ?? []).filter((name) => !point.collections.some((collection) => collection.name === name));
  if (unknown.length > 0) {
    const known = point.collections.map(({ name }) => name).join(", ");
    throw new DrError("USAGE", `${unknown.join(", ")} is not in ${point.id}`, { hint: `it holds ${known}` });
  }
  const collections = point.collections.filter(({ name }) => only === undefined || only.includes(name));
  const existing = new Set(await target.collections());
  const taken = collections.map(({ name }) => name).filter((name) => existing.has(name));
  const halfMade = await unfinishedCollections(repository.stores.control, epoch);
  const mayDiscard = epoch !== undefined || discardUnfinished;
  const live = taken.filter((name) => !(mayDiscard && halfMade.has(name)));
  if (live.length > 0) {
    throw new DrError("TARGET_NOT_EMPTY", `the target has ${live.join(", ")} already; nothing was changed`, {
      hint: live.some((name) => halfMade.has(name))
        ? "an earlier restore was cut off: if nobody uses what it left, repeat with --discard-unfinished"
        : "a restore never replaces what may be the only copy: restore into an empty Qdrant, or delete the collection yourself",
    });
  }
  await refuseLostShardKeys(target, collections);
  await refuseTakenAliases(request, collections);
  return { collections, discard: taken };
}

export async function restorePoint(request: RestoreRequest): Promise<RestoreReport> {
  const { clock, epoch, point, progress, repository, target } = request;
  const begun = clock.now();
  const { collections, discard } = await planRestore(request);
  const record = {
    id: newId(begun),
    point: point.id,
    collections: collections.map(({ name }) => name),
    ...(epoch === undefined ? {} : { epoch }),
    at: begun.toISOString(),
  };
  await recordRestoreStart(repository.stores.control, record);
  for (const name of discard) await target.deleteCollection(name);
  await atOnce(collectionsAtOnce, collections, async (collection) => {
    progress({ step: "restore", detail: collection.name });
    await restoreCollection(request, collection, collection.name);
  });
  for (const { name } of collections) await waitUntilWhole(request, name);
  // Compared before a name leads to it: from its aliases on, it can be in use.
  await verifyRestored(request);
  await setAliases(request, collections);
  await recordRestoreEnd(repository.stores.control, record, clock.now());
  const counts = await Promise.all(collections.map(({ name }) => target.count(name)));
  return {
    point: point.id,
    time: point.time,
    collections: collections.length,
    points: counts.reduce((sum, count) => sum + count, 0),
    seconds: (clock.now().getTime() - begun.getTime()) / 1000,
  };
}

/** Compares a restored target with what the source answered at the capture. Throws VERIFICATION_FAILED. */
export async function verifyRestored({
  only,
  point,
  repository,
  target,
}: RestoreRequest): Promise<{ samples: number; canaries: number }> {
  const differences: string[] = [];
  let samples = 0;
  let canaries = 0;
  for (const collection of point.collections) {
    if (only !== undefined && !only.includes(collection.name)) continue;
    differences.push(...(await compareWithObservation(target, collection, await repository.keys.key(collection.key))));
    samples += collection.samples.length;
    canaries += collection.canaries.length;
  }
  if (differences.length === 0) return { samples, canaries };
  const shown = differences.slice(0, 3).join("; ");
  throw new DrError("VERIFICATION_FAILED", `${differences.length} things differ from ${point.id}: ${shown}`, {
    hint: "do not serve from it: restore an earlier point (`qdrant-dr points`, then `restore --point`)",
  });
}

/** Shard keys that cannot be made again on the target as they were. */
async function refuseLostShardKeys(target: VectorDatabase, collections: readonly CapturedCollection[]): Promise<void> {
  const withKeys = collections.filter(hasShardKeys);
  for (const { name, shards } of withKeys) planShardKeys(name, shards);
  if (withKeys.length === 0 || (await target.isClustered())) return;
  const names = withKeys.map(({ name }) => name).join(", ");
  throw new DrError("NOT_SUPPORTED", `${names} has custom shard keys, and the target does not run in cluster mode`, {
    hint: "start the target's Qdrant with QDRANT__CLUSTER__ENABLED=true and --uri: one node is enough",
  });
}

async function refuseTakenAliases({ point, target }: RestoreRequest, collections: readonly CapturedCollection[]) {
  const wanted = new Map(point.aliases.map(({ alias, collection }) => [alias, collection]));
  const isRestored = (name: string | undefined) => collections.some((collection) => collection.name === name);
  const taken = (await target.aliases()).filter(
    ({ alias, collection }) => isRestored(wanted.get(alias)) && wanted.get(alias) !== collection,
  );
  if (taken.length === 0) return;
  const told = taken.map(({ alias, collection }) => `${alias} (leads to ${collection})`).join(", ");
  throw new DrError("TARGET_NOT_EMPTY", `the target has the alias ${told}; nothing was changed`, {
    hint: "delete the alias, or restore without its collection",
  });
}

async function setAliases(
  { point, target }: RestoreRequest,
  collections: readonly CapturedCollection[],
): Promise<void> {
  const restored = new Set(collections.map(({ name }) => name));
  const present = new Set((await target.aliases()).map(({ alias }) => alias));
  for (const alias of point.aliases) {
    if (restored.has(alias.collection) && !present.has(alias.alias)) await target.createAlias(alias);
  }
}
