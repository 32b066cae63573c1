/** Captures a recovery point of a region: every collection, shard by shard, and commits it with one create-only write. */
import { resolveLatestRestorable } from "../domain/catalog.ts";
import { chooseReplicas } from "../domain/choose-replicas.ts";
import { type EpochRecord, newestEpoch } from "../domain/epoch.ts";
import { newId } from "../domain/identifier.ts";
import type { DataKey } from "../domain/key.ts";
import { canonicalJson } from "../domain/point-digest.ts";
import {
  type CapturedCollection,
  type CapturedShard,
  type CaptureType,
  isExact,
  type RecoveryPoint,
} from "../domain/recovery-point.ts";
import { planShardKeys } from "../domain/shard-key-plan.ts";
import { lineageOf } from "../domain/shard-tree.ts";
import { checkSupported } from "../domain/version-rule.ts";
import { DrError } from "../errors.ts";
import type { Clock, CollectionDescription, Progress, VectorDatabase } from "../ports.ts";
import { isStepDone } from "../repository/failover-records.ts";
import type { OpenRepository } from "../repository/repository.ts";
import { newestRestore, restoresUnderWay } from "../repository/restore-records.ts";
import { captureShard } from "./capture-shard.ts";
import { observeCollection } from "./observe-collection.ts";

/** How long an optimization is waited for, and how often a capture is tried before it is kept as not exact. */
const patience = { quietMs: 60_000, attempts: 3 };

/** A restore that began longer ago and did not end was cut off. */
const restoreEndsWithinMs = 60 * 60_000;

export interface CaptureReport {
  readonly point: string;
  readonly type: CaptureType;
  readonly time: string;
  readonly collections: number;
  readonly points: number;
  readonly isExact: boolean;
  readonly readBytes: number;
  readonly storedBytes: number;
  readonly seconds: number;
}

export interface CapturePointRequest {
  readonly region: string;
  readonly type: CaptureType;
  readonly database: VectorDatabase;
  readonly repository: OpenRepository;
  readonly clock: Clock;
  readonly progress: Progress;
  readonly toolVersion: string;
  /** Commit a point without points, though the last one has some. */
  readonly allowEmpty?: boolean;
}

export async function capturePoint(request: CapturePointRequest): Promise<CaptureReport> {
  const { allowEmpty = false, clock, database, progress, region, repository, toolVersion, type } = request;
  const begun = clock.now();
  const qdrantVersion = await database.version();
  checkSupported(qdrantVersion);
  const catalog = await repository.catalog();
  const epoch = newestEpoch(catalog.epochs);
  if (epoch?.active !== region) {
    throw new DrError("ROLE_REFUSES", `${region} is not the active region: ${epoch?.active ?? "none"} is`, {
      hint: "capture in the active region; points of another one would be ignored",
    });
  }
  const base = resolveLatestRestorable(catalog.entries)?.point;
  await refuseWhileRestoring(request, epoch);
  const restore = await newestRestore(repository.stores.control);
  const collections: CapturedCollection[] = [];
  let readBytes = 0;
  let storedBytes = 0;
  for (const name of await database.collections()) {
    progress({ step: "capture", detail: name });
    const description = await database.describe(name);
    const baseCollection = base?.collections.find((collection) => collection.name === name);
    const key = await keyFor(repository, name, baseCollection);
    const observation = await observeCollection(database, name, key);
    const shards: CapturedShard[] = [];
    for (const shard of chooseReplicas(await database.shards(name), baseCollection?.shards)) {
      const baseTree = baseCollection?.shards.find(({ id }) => id === shard.id)?.tree;
      const capture = await captureShard({
        database,
        repository,
        key,
        collection: name,
        shard,
        lineage: lineageOf({ region, epoch: epoch.epoch, peer: shard.peer, restore }),
        ...(baseTree === undefined ? {} : { base: { ...baseTree, tree: await repository.readTree(baseTree.id) } }),
        isFull: type === "full",
        clock,
        patience,
      });
      readBytes += capture.readBytes;
      storedBytes += capture.storedBytes;
      shards.push({
        id: shard.id,
        ...(shard.key === undefined ? {} : { key: shard.key }),
        peer: shard.peer,
        tree: capture.tree,
        startedAt: capture.startedAt.toISOString(),
        finishedAt: capture.finishedAt.toISOString(),
        method: "partial-snapshot",
        isExact: capture.isExact,
      });
    }
    // What no target could be given again is not called a recovery point.
    if (shards.some(({ key }) => key !== undefined)) planShardKeys(name, shards);
    await refuseChanged(database, description);
    collections.push({
      name,
      key: key.id,
      config: description.config as CapturedCollection["config"],
      payloadIndexes: description.payloadIndexes as CapturedCollection["payloadIndexes"],
      shards,
      ...(await observation.confirm()),
    });
  }
  const point: RecoveryPoint = {
    format: 1,
    id: newId(begun),
    type,
    ...(base === undefined ? {} : { base: base.id }),
    region,
    epoch: epoch.epoch,
    // Before the oldest shard was read, and before it was asked which collections there are.
    time: begun.toISOString(),
    finishedAt: clock.now().toISOString(),
    qdrantVersion,
    toolVersion,
    collections,
    aliases: await database.aliases(),
  };
  await refuseAfterRestore(repository, restore);
  refuseEmptied(point, base, allowEmpty);
  await repository.createPoint(point);
  return {
    point: point.id,
    type,
    time: point.time,
    collections: collections.length,
    points: collections.reduce((sum, { pointsAfter }) => sum + pointsAfter, 0),
    isExact: isExact(point),
    readBytes,
    storedBytes,
    seconds: (clock.now().getTime() - begun.getTime()) / 1000,
  };
}

async function keyFor(
  repository: OpenRepository,
  collection: string,
  base: CapturedCollection | undefined,
): Promise<DataKey> {
  return base === undefined ? repository.keys.make({ collection }) : repository.keys.key(base.key);
}

/** What is half-restored, or restored and not yet compared, must not become the newest point. */
async function refuseWhileRestoring({ clock, repository }: CapturePointRequest, epoch: EpochRecord): Promise<void> {
  const { control } = repository.stores;
  const [restore] = await restoresUnderWay(control, new Date(clock.now().getTime() - restoreEndsWithinMs));
  const isPromoted = epoch.point === undefined || (await isStepDone(control, epoch.epoch, "verify"));
  if (restore === undefined && isPromoted) return;
  const what = isPromoted ? `restore ${restore} has not ended` : `the failover of epoch ${epoch.epoch} has not ended`;
  throw new DrError("ROLE_REFUSES", `${what}: a capture of ${epoch.active} would look like its newest state`, {
    hint: "let it end, or run it again; then capture. A restore that was cut off counts for an hour",
  });
}

/** A configuration that changed meanwhile belongs to other data than that which was read. */
async function refuseChanged(database: VectorDatabase, before: CollectionDescription): Promise<void> {
  const now = await database.describe(before.name);
  if (canonicalJson(now) === canonicalJson(before)) return;
  throw new DrError("CAPTURE_INCOMPLETE", `${before.name} was changed while it was captured; nothing was committed`, {
    hint: "capture again",
  });
}

/** A Qdrant that lost its disk answers like an empty one. */
function refuseEmptied(point: RecoveryPoint, base: RecoveryPoint | undefined, allowEmpty: boolean): void {
  const count = ({ collections }: RecoveryPoint) => collections.reduce((sum, { pointsAfter }) => sum + pointsAfter, 0);
  if (allowEmpty || base === undefined || count(base) === 0 || count(point) > 0) return;
  throw new DrError(
    "LINEAGE_BROKEN",
    `Qdrant holds no points, and the last recovery point holds ${count(base)}; nothing was committed`,
    {
      hint: "see whether it lost its disk; if it was emptied on purpose, repeat with --allow-empty",
    },
  );
}

/** A restore into this region while it was captured mixes two histories in one point. */
async function refuseAfterRestore(repository: OpenRepository, restore: string | undefined): Promise<void> {
  if ((await newestRestore(repository.stores.control)) === restore) return;
  throw new DrError("LINEAGE_BROKEN", "something was restored into this region during the capture", {
    hint: "capture again when the restore is done",
  });
}
