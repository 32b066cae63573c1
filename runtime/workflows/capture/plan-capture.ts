/** What a capture will read: asked of the region before anything is read, and fixed for all of its workers. */
import { createHmac } from "node:crypto";
import { forEachConcurrently } from "../../async/for-each-concurrently.ts";
import { canonicalJson } from "../../domain/exact-json.ts";
import { newId } from "../../domain/identifier.ts";
import { planShardKeys } from "../../domain/qdrant/shard-key-plan.ts";
import type { CapturePlan } from "../../domain/recovery-points/capture-plan.ts";
import type { DataKey } from "../../domain/recovery-points/key.ts";
import type {
  CapturedCollection,
  CaptureType,
  DataKind,
  RecoveryPoint,
} from "../../domain/recovery-points/recovery-point.ts";
import { checkSupported } from "../../domain/recovery-points/version-rule.ts";
import { type EpochRecord, newestEpoch } from "../../domain/roles/epoch.ts";
import { DrError } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { ObjectStoreReader } from "../../ports/object-store.ts";
import type { Progress } from "../../ports/progress.ts";
import type { ShardPlacement, VectorDatabase } from "../../ports/qdrant.ts";
import type { CaptureBase } from "../../repository/catalog/read-catalog.ts";
import { isStepDone } from "../../repository/control/failover-records.ts";
import {
  isRestoredSince,
  newestRestore,
  type RestoreRecords,
  readRestores,
  restoresUnderWay,
} from "../../repository/control/restore-records.ts";
import { untold } from "../../repository/record.ts";
import type { OpenRepository } from "../../repository/repository.ts";
import { waitUntil } from "../../time/wait-until.ts";
import { collectionsAtOnce } from "../concurrency.ts";
import { nameUnreadable } from "../name-unreadable.ts";
import { inheritedFacts, observeCollection } from "../observe-collection.ts";
import type { CaptureMemory } from "./capture-memory.ts";
import type { CapturePatience } from "./capture-shard.ts";
import { isGone, wasDropped } from "./collection-existence.ts";
import type { FolderCapture } from "./folder-capture.ts";
import { removeLeftSnapshots } from "./temporary-snapshot.ts";

/** A restore that began longer ago and did not end was cut off. */
const restoreEndsWithinMs = 60 * 60_000;

/** How long shards may move before a capture is refused. */
const movementsEndWithinMs = 10 * 60_000;

export interface CaptureRequest {
  readonly region: string;
  readonly type: CaptureType;
  readonly database: VectorDatabase;
  readonly repository: OpenRepository;
  readonly clock: Clock;
  readonly progress: Progress;
  readonly toolVersion: string;
  /** What to capture; Qdrant alone when left out. */
  readonly kinds?: readonly DataKind[];
  /** Read only these collections; the others are as in the base. */
  readonly collections?: readonly string[];
  /**
   * Which of the collections are read, of those that may be as in the base: all are read when this run did not make the base, or is not
   * sure of it, and after a restore or a new epoch.
   */
  readonly choose?: (collections: readonly string[]) => readonly string[];
  readonly folders?: readonly FolderCapture[];
  /** Commit a recovery point without points, though the last one has some. */
  readonly allowEmpty?: boolean;
  /** Control store of the region that is captured, when the recovery point goes into another region's bucket. */
  readonly control?: ObjectStoreReader;
  readonly patience?: CapturePatience;
  /** Shards that are read side by side; 2 when left out. Each takes memory for its packs, and asks its server for more at once. */
  readonly readAtOnce?: number;
  /** Commit nothing when all is as in the last recovery point. */
  readonly onlyChanges?: boolean;
  /** What the run knows from its last capture; kept up by this one. */
  readonly memory?: CaptureMemory;
  /** This is one of `count` workers that capture one recovery point, `index` from 0 on; `session` is the same for all of them. */
  readonly worker?: { readonly index: number; readonly count: number; readonly session: string };
}

/** Where the shards of each collection are, as they were asked for once. */
export type Placements = Map<string, Promise<ShardPlacement[]>>;

/** What a capture finds before it reads anything, changes anything, or asks anything that costs the region. */
export interface CaptureAssessment {
  readonly epoch: EpochRecord;
  readonly restores: RestoreRecords;
  /** Absent when nothing of Qdrant is captured. */
  readonly qdrantVersion: string | undefined;
  /** The recovery point that the Qdrant part builds on. */
  readonly base: RecoveryPoint | undefined;
  /** Collections that are read. */
  readonly wanted: readonly string[];
  /** Collections that stay as in the base. */
  readonly carried: readonly string[];
  readonly folders: readonly Pick<FolderCapture, "kind" | "name">[];
}

/** Refuses what must not be captured now: another region than the active one, half-restored data, an unsupported version. */
export async function assessCapture(request: CaptureRequest, base: CaptureBase): Promise<CaptureAssessment> {
  const { database, folders = [], kinds = ["qdrant"], memory, progress, region } = request;
  const holdsQdrant = kinds.includes("qdrant");
  const epoch = newestEpoch(base.epochs);
  if (epoch?.active !== region) {
    throw new DrError("ROLE_REFUSES", `${region} is not the active region: ${epoch?.active ?? "none"} is`, {
      hint: "capture in the active region; points of another one would be ignored",
    });
  }
  const [qdrantVersion, restores] = await Promise.all([
    holdsQdrant ? database.version() : undefined,
    readRestores(controlOf(request), undefined, memory?.base === undefined ? nameUnreadable(progress) : untold),
  ]);
  const unproven = qdrantVersion === undefined ? undefined : checkSupported(qdrantVersion);
  // A run that captures again and again says it once.
  if (unproven !== undefined && memory?.base === undefined) progress({ step: "version", detail: unproven });
  await refuseWhileRestoring(request, epoch, restores);
  const qdrantBase = base.recoveryPoints.get("qdrant");
  const present = holdsQdrant ? await presentCollections(database, qdrantBase) : [];
  const wanted = holdsQdrant ? await wantedCollections(request, { epoch, restores }, present, qdrantBase) : [];
  const ofBase = (qdrantBase?.collections ?? []).map(({ name }) => name);
  return {
    epoch,
    restores,
    qdrantVersion,
    base: qdrantBase,
    wanted,
    carried: ofBase.filter((name) => present.includes(name) && !wanted.includes(name)),
    folders: folders.filter(({ kind }) => kinds.includes(kind)).map(({ kind, name }) => ({ kind, name })),
  };
}

export async function planCapture(
  request: CaptureRequest,
  base: CaptureBase,
  placements: Placements,
): Promise<CapturePlan> {
  const { clock, kinds = ["qdrant"], region, type, worker } = request;
  const at = clock.now();
  const assessed = await assessCapture(request, base);
  const { base: qdrantBase, carried, epoch, folders, qdrantVersion, restores } = assessed;
  const restore = newestRestore(restores);
  const [collections] = kinds.includes("qdrant")
    ? await Promise.all([planCollections(request, assessed, placements), tidySnapshots(request)])
    : [[]];
  return {
    format: 1,
    recoveryPoint: newId(at),
    type,
    kinds: [...kinds],
    workers: worker?.count ?? 1,
    at: at.toISOString(),
    ...(qdrantBase === undefined ? {} : { base: qdrantBase.id }),
    region,
    epoch: epoch.epoch,
    ...(restore === undefined ? {} : { restore }),
    ...(qdrantVersion === undefined ? {} : { qdrantVersion }),
    collections,
    carried: [...carried],
    folders: [...folders],
  };
}

/** Where the restores and failovers of the captured region are recorded. */
export function controlOf({ control, repository }: Pick<CaptureRequest, "control" | "repository">): ObjectStoreReader {
  return control ?? repository.stores.control;
}

async function tidySnapshots({ clock, database, memory, progress, repository }: CaptureRequest): Promise<void> {
  // This run has looked, and was not cut off since.
  if (memory?.base !== undefined) return;
  const { removed, unsure } = await removeLeftSnapshots({
    ...{ clock, control: repository.stores.control, database },
    tell: nameUnreadable(progress),
  });
  for (const name of removed)
    progress({ step: "tidy", detail: `removed ${name}, which a capture that was cut off left` });
  for (const name of unsure) {
    progress({
      step: "tidy",
      detail: `${name} may be left from a capture that was cut off: delete it if it is not yours`,
    });
  }
}

async function planCollections(
  request: CaptureRequest,
  { base, epoch, wanted }: CaptureAssessment,
  placements: Placements,
): Promise<CapturePlan["collections"]> {
  const planned: CapturePlan["collections"] = [];
  await forEachConcurrently(collectionsAtOnce, wanted, async (name) => {
    const collection = await planCollection(request, epoch, name, base, placements);
    if (collection !== undefined) planned.push(collection);
  });
  return planned.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** What the base holds and the list does not name is asked for itself. */
async function presentCollections(database: VectorDatabase, base: RecoveryPoint | undefined): Promise<string[]> {
  const listed = new Set(await database.collections());
  const missing = (base?.collections ?? []).map(({ name }) => name).filter((name) => !listed.has(name));
  await forEachConcurrently(collectionsAtOnce, missing, async (name) => {
    if (!(await isGone(database, name))) listed.add(name);
  });
  return [...listed];
}

/** What may have made the region's data another than the base's. */
interface Past {
  readonly epoch: EpochRecord;
  readonly restores: RestoreRecords;
}

async function wantedCollections(
  request: CaptureRequest,
  past: Past,
  present: readonly string[],
  base: RecoveryPoint | undefined,
): Promise<readonly string[]> {
  const { choose, collections } = request;
  if (choose !== undefined) {
    if (base === undefined || !isContinued(request, past, present, base)) return present;
    const chosen = new Set(choose(present));
    if (chosen.size === present.length) return present;
    const led = await newlyLedTo(request.database, base);
    const known = new Set(base.collections.map(({ name }) => name));
    return present.filter((name) => chosen.has(name) || led.has(name) || !known.has(name));
  }
  if (collections === undefined) return present;
  const unknown = collections.filter((name) => !present.includes(name));
  if (unknown.length > 0) {
    throw new DrError("USAGE", `there is no collection ${unknown.join(", ")}`, {
      hint: `there are ${present.join(", ") || "none"}`,
    });
  }
  const isOfNow = base?.epoch === past.epoch.epoch && !isRestoredSince(past.restores, new Date(base.time));
  if (isOfNow) return collections;
  const beside = base === undefined ? "" : ", made since the last restore and change of roles";
  throw new DrError(
    "USAGE",
    `some collections can be captured only beside an earlier recovery point of all of them${beside}`,
    { hint: "take one with `qdrant-dr backup --type full`" },
  );
}

/** Whether what is not read now can stand beside what is. The data of a collection that is gone may have gone into any other. */
function isContinued(
  { memory }: CaptureRequest,
  { epoch, restores }: Past,
  present: readonly string[],
  base: RecoveryPoint,
): boolean {
  if (memory?.base === undefined || memory.restore !== newestRestore(restores)) return false;
  return base.epoch === epoch.epoch && base.collections.every(({ name }) => present.includes(name));
}

/** Collections that an alias has come to name: clients that were led there find what another one held before. */
async function newlyLedTo(database: VectorDatabase, base: RecoveryPoint): Promise<ReadonlySet<string>> {
  const isKnown = ({ alias, collection }: RecoveryPoint["aliases"][number]) =>
    base.aliases.some((known) => known.alias === alias && known.collection === collection);
  const fresh = (await database.aliases()).filter((alias) => !isKnown(alias));
  return new Set(fresh.map(({ collection }) => collection));
}

/** Undefined when the collection was dropped meanwhile. */
async function planCollection(
  request: CaptureRequest,
  epoch: EpochRecord,
  name: string,
  base: RecoveryPoint | undefined,
  placements: Placements,
): Promise<CapturePlan["collections"][number] | undefined> {
  const { database, progress, repository, type } = request;
  try {
    const baseCollection = base?.collections.find((collection) => collection.name === name);
    const [{ config, payloadIndexes }, replicas] = await Promise.all([
      database.describe(name),
      placementsOf(request, name, placements),
      // Asked for meanwhile: it is needed below.
      baseCollection && repository.keys.key(baseCollection.key),
    ]);
    const shards = new Map(replicas.map(({ id, key }) => [id, { id, ...(key === undefined ? {} : { key }) }]));
    // What no target could be given again is not called a recovery point.
    if (replicas.some(({ key }) => key !== undefined)) planShardKeys(name, [...shards.values()]);
    const key = await keyFor(repository, epoch, { collection: name }, baseCollection);
    // Made again under the same name it may be another collection, of which old questions cannot be asked.
    const isOfBase = baseCollection !== undefined && hasSameParams(baseCollection.config, config);
    const inherited = type === "full" || !isOfBase ? undefined : inheritedFacts(baseCollection);
    return {
      name,
      key: key.id,
      config: config as CapturedCollection["config"],
      payloadIndexes: payloadIndexes as CapturedCollection["payloadIndexes"],
      ...(inherited ?? (await observeCollection(database, name, key, (detail) => progress({ step: "plan", detail })))),
      shards: [...shards.values()].sort((a, b) => a.id - b.id),
    };
  } catch (error) {
    if (!(await wasDropped(request, name, error))) throw error;
    return undefined;
  }
}

function hasSameParams(before: unknown, now: unknown): boolean {
  const paramsOf = (config: unknown) => canonicalJson((config as { params?: unknown }).params ?? null);
  return paramsOf(before) === paramsOf(now);
}

export function placementsOf(request: CaptureRequest, name: string, placements: Placements): Promise<ShardPlacement[]> {
  const known = placements.get(name);
  if (known !== undefined) return known;
  const asked = stillReplicas(request, name);
  placements.set(name, asked);
  return asked;
}

/** The replicas of a collection whose shards do not move; waits for that, and refuses when it takes too long. */
export async function stillReplicas(
  { clock, database, progress }: Pick<CaptureRequest, "clock" | "database" | "progress">,
  collection: string,
): Promise<ShardPlacement[]> {
  let moving: readonly string[] = [];
  const expired = () =>
    new DrError("CAPTURE_INCOMPLETE", `${collection}: ${moving.join("; ")}; nothing was committed`, {
      hint: "capture again when shards no longer move",
    });
  const wait = { what: `the shards of ${collection} to rest`, withinMs: movementsEndWithinMs, everyMs: 500, expired };
  return waitUntil(clock, wait, async () => {
    const { movements, shards } = await database.layout(collection);
    if (movements.length === 0) return shards;
    moving = movements;
    progress({ step: "wait", detail: `${collection}: ${movements[0]}` });
    return undefined;
  });
}

/**
 * The same for every attempt at a first capture, so that what one of them stored serves the next; another one for each
 * epoch, because two regions must never make different keys of one id.
 */
export async function keyFor(
  repository: OpenRepository,
  { active, epoch }: Pick<EpochRecord, "active" | "epoch">,
  purpose: Exclude<DataKey["purpose"], "repository">,
  base: { readonly key: string } | undefined,
): Promise<DataKey> {
  if (base !== undefined) return repository.keys.key(base.key);
  const { naming } = await repository.keys.key(repository.description.key);
  const name = JSON.stringify(["key", active, epoch, purpose]);
  const id = createHmac("sha256", naming).update(name).digest("hex").slice(0, 32);
  return repository.keys.obtain(id, purpose);
}

/** What is half-restored, or restored and not yet compared, must not become the newest recovery point. */
async function refuseWhileRestoring(
  request: CaptureRequest,
  epoch: EpochRecord,
  restores: RestoreRecords,
): Promise<void> {
  const [restore] = restoresUnderWay(restores, new Date(request.clock.now().getTime() - restoreEndsWithinMs));
  // Opening begins with waking the optimizers, which a capture must not meet.
  const isPromoted = epoch.recoveryPoint === undefined || (await isStepDone(controlOf(request), epoch.epoch, "open"));
  if (restore === undefined && isPromoted) return;
  const what = isPromoted ? `restore ${restore} has not ended` : `the failover of epoch ${epoch.epoch} has not ended`;
  throw new DrError("ROLE_REFUSES", `${what}: a capture of ${epoch.active} would look like its newest state`, {
    hint: "let it end, or run it again; then capture. A restore that was cut off counts for an hour",
  });
}
