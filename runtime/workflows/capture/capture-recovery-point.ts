/** Captures a recovery point of a region: plan, parts, commit. One worker does all of it, or several share the parts. */
import { canonicalJson } from "../../domain/exact-json.ts";
import type { CapturePart, CapturePlan } from "../../domain/recovery-points/capture-plan.ts";
import {
  type CapturedFolder,
  type CaptureType,
  type DataKind,
  isExact,
  type RecoveryPoint,
} from "../../domain/recovery-points/recovery-point.ts";
import { newestEpoch } from "../../domain/roles/epoch.ts";
import { DrError } from "../../errors.ts";
import {
  CaptureSession,
  committedRecoveryPoint,
  unfinishedCaptures,
} from "../../repository/catalog/capture-session.ts";
import { findOrphanedPieces } from "../../repository/catalog/orphaned-pieces.ts";
import { type CaptureBase, readCaptureBase } from "../../repository/catalog/read-catalog.ts";
import type { OrphanedPieces } from "../../repository/content/content-writer.ts";
import { epochsAfter, readEpochs } from "../../repository/control/epochs.ts";
import { nameUnreadable } from "../name-unreadable.ts";
import { capturePart, type PartContext } from "./capture-part.ts";
import { carriedFrom, commitCapture, timeOf } from "./commit-capture.ts";
import { type CaptureRequest, type Placements, planCapture } from "./plan-capture.ts";

export interface CaptureReport {
  readonly recoveryPoint: string;
  readonly type: CaptureType;
  readonly time: string;
  readonly collections: number;
  readonly folders: number;
  readonly points: number;
  readonly isExact: boolean;
  /** What this worker read and stored. */
  readonly readBytes: number;
  readonly storedBytes: number;
  readonly seconds: number;
  /** False when other workers have not done their parts: the last of them commits; and when nothing changed, and nothing was asked to be committed then. */
  readonly isCommitted: boolean;
  /** Nothing changed since the last recovery point: `recoveryPoint` is that one, and it was still true at `time`. */
  readonly isUnchanged?: true;
}

export async function captureRecoveryPoint(request: CaptureRequest): Promise<CaptureReport> {
  const { clock, kinds = ["qdrant"], memory, repository, worker } = request;
  const begun = clock.monotonic();
  const base = await baseOf(request, kinds);
  const session = worker === undefined ? undefined : new CaptureSession(repository, worker.session);
  const placements: Placements = new Map();
  const propose = () => planCapture(request, base, placements);
  const plan = session === undefined ? await propose() : await agreedPlan(request, session, propose);
  const baseRecoveryPoint = plan.base === undefined ? undefined : await baseRecoveryPointOf(request, base, plan.base);
  const done = await session?.part(worker?.index ?? 0);
  const part = done ?? (await doPart(request, { base, baseRecoveryPoint, placements, plan }));
  if (done === undefined) await session?.keepPart(part);
  const parts = session === undefined ? [part] : await allParts(session, plan);
  const seconds = () => (clock.monotonic() - begun) / 1000;
  if (parts === undefined) return reportOf(plan, part, undefined, seconds());
  const same = request.onlyChanges
    ? await unchangedRecoveryPoint(request, plan, part, base, baseRecoveryPoint)
    : undefined;
  if (same !== undefined) {
    const seen = seenAgain(same, plan, part);
    memory?.remember(base, seen, plan.restore);
    const report = reportOf(plan, part, seen, seconds());
    return { ...report, recoveryPoint: same.id, isCommitted: false, isUnchanged: true };
  }
  const recoveryPoint = await commitOnce(request, plan, parts, baseRecoveryPoint);
  await session?.end(plan);
  memory?.remember(base, recoveryPoint, plan.restore);
  return reportOf(plan, part, recoveryPoint, seconds());
}

async function baseOf(
  { memory, progress, repository }: CaptureRequest,
  kinds: readonly DataKind[],
): Promise<CaptureBase> {
  const remembered = memory?.base;
  if (remembered === undefined) return readCaptureBase(repository, kinds, nameUnreadable(progress));
  const { control } = repository.stores;
  const newest = newestEpoch(remembered.epochs);
  const epochs =
    newest === undefined
      ? await readEpochs(control)
      : [...remembered.epochs, ...(await epochsAfter(control, newest.epoch))];
  return { ...remembered, epochs };
}

/** The recovery point that says all that a new one would say. */
async function unchangedRecoveryPoint(
  request: CaptureRequest,
  plan: CapturePlan,
  part: CapturePart,
  base: CaptureBase,
  baseRecoveryPoint: RecoveryPoint | undefined,
): Promise<RecoveryPoint | undefined> {
  if (!plan.kinds.includes("qdrant")) return recoveryPointOfFolders(plan, part, base);
  const isSame = baseRecoveryPoint !== undefined && (await isUnchanged(request, plan, part, baseRecoveryPoint));
  return isSame ? baseRecoveryPoint : undefined;
}

/** The newest of the recovery points that hold the folders as they were captured now. */
function recoveryPointOfFolders(plan: CapturePlan, part: CapturePart, base: CaptureBase): RecoveryPoint | undefined {
  const recoveryPoints = plan.kinds.flatMap((kind) => base.recoveryPoints.get(kind) ?? []);
  if (plan.type === "full" || recoveryPoints.length < plan.kinds.length) return undefined;
  if (recoveryPoints.some(({ epoch }) => epoch !== plan.epoch)) return undefined;
  const known = plan.kinds.flatMap(
    (kind) => base.recoveryPoints.get(kind)?.folders.filter((each) => each.kind === kind) ?? [],
  );
  const isSame = ({ isExact, kind, name, tree }: CapturedFolder) =>
    known.some(
      (each) => each.kind === kind && each.name === name && each.tree.id === tree.id && each.isExact === isExact,
    );
  if (known.length !== part.folders.length || !part.folders.every(isSame)) return undefined;
  return recoveryPoints.sort((a, b) => (a.id < b.id ? -1 : 1)).at(-1);
}

/** The recovery point, as of when its shards were found to be as they were then. */
function seenAgain(recoveryPoint: RecoveryPoint, plan: CapturePlan, { shards: seen }: CapturePart): RecoveryPoint {
  const collections = recoveryPoint.collections.map((collection) => {
    const shards = collection.shards.map((shard) => {
      const again = seen.find((each) => each.collection === collection.name && each.id === shard.id);
      return again === undefined ? shard : { ...shard, startedAt: again.startedAt, finishedAt: again.finishedAt };
    });
    return { ...collection, shards };
  });
  return { ...recoveryPoint, collections, time: timeOf(plan, collections) };
}

/** Whether the base says all that a new recovery point would say. */
async function isUnchanged(
  { database }: CaptureRequest,
  plan: CapturePlan,
  part: CapturePart,
  base: RecoveryPoint,
): Promise<boolean> {
  if (plan.type === "full" || plan.epoch !== base.epoch || plan.qdrantVersion !== base.qdrantVersion) return false;
  const settingsOf = ({ collections }: Pick<RecoveryPoint | CapturePlan, "collections">) =>
    collections
      .map(({ config, name, payloadIndexes }) => ({ name, config, payloadIndexes }))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  const carried = new Set(carriedFrom(base, plan).map(({ name }) => name));
  const read = base.collections.filter(({ name }) => !carried.has(name));
  if (canonicalJson(settingsOf(plan)) !== canonicalJson(settingsOf({ collections: read }))) return false;
  const shards = read.flatMap((collection) => collection.shards.map((shard) => ({ collection, shard })));
  const isSameShard = ({ collection, shard }: (typeof shards)[number]) =>
    part.shards.some(
      (captured) =>
        captured.collection === collection.name &&
        captured.id === shard.id &&
        captured.tree.id === shard.tree.id &&
        captured.isExact === shard.isExact,
    );
  if (part.folders.length > 0 || part.shards.length !== shards.length || !shards.every(isSameShard)) return false;
  const sorted = (aliases: RecoveryPoint["aliases"]) => [...aliases].sort((a, b) => (a.alias < b.alias ? -1 : 1));
  return canonicalJson(sorted(await database.aliases())) === canonicalJson(sorted(base.aliases));
}

async function doPart(
  request: CaptureRequest,
  context: Pick<PartContext, "base" | "baseRecoveryPoint" | "placements" | "plan">,
): Promise<CapturePart> {
  const { base, plan } = context;
  const { repository, worker } = request;
  let begun: Promise<unknown> | undefined;
  let unclaimed: Promise<OrphanedPieces | undefined> | undefined;
  return capturePart(request, {
    ...context,
    orphaned: () => {
      unclaimed ??= orphanedPieces(request, base, plan);
      return unclaimed;
    },
    // Workers have agreed on the plan; a single one writes it when there is something to store.
    beginStoring: async () => {
      request.memory?.forget();
      if (worker === undefined) begun ??= new CaptureSession(repository, plan.recoveryPoint).agree(plan);
      await begun;
    },
  });
}

/** Looked for only when an earlier capture was cut off since the last recovery point was made: it costs a look at every tree. */
async function orphanedPieces(
  { memory, progress, repository }: CaptureRequest,
  base: CaptureBase,
  plan: CapturePlan,
): Promise<OrphanedPieces | undefined> {
  // This run was not cut off since the last recovery point, and remembers that.
  if (memory?.base !== undefined) return undefined;
  const newest = [...base.recoveryPoints.values()].map(({ startedAt }) => Date.parse(startedAt));
  const since = newest.length === 0 ? undefined : new Date(Math.max(...newest));
  const unfinished = await unfinishedCaptures(repository, base.listed, since, nameUnreadable(progress));
  const wasCutOff = unfinished.some(({ recoveryPoint }) => recoveryPoint !== plan.recoveryPoint || plan.workers > 1);
  return wasCutOff ? findOrphanedPieces(repository, base) : undefined;
}

async function agreedPlan(
  request: CaptureRequest,
  session: CaptureSession,
  propose: () => Promise<CapturePlan>,
): Promise<CapturePlan> {
  const plan = (await session.plan()) ?? (await session.agree(await propose()));
  const isSame = plan.workers === request.worker?.count && plan.type === request.type && plan.region === request.region;
  if (isSame) return plan;
  throw new DrError(
    "USAGE",
    `this session is a ${plan.type} capture of ${plan.region} by ${plan.workers} workers, and another one was asked for`,
    { hint: "give every capture a session name of its own, and all of its workers the same options" },
  );
}

async function baseRecoveryPointOf(
  { repository }: CaptureRequest,
  base: CaptureBase,
  id: string,
): Promise<RecoveryPoint> {
  const known = [...base.recoveryPoints.values()].find((recoveryPoint) => recoveryPoint.id === id);
  return known ?? repository.readRecoveryPoint(id);
}

async function allParts(session: CaptureSession, plan: CapturePlan): Promise<CapturePart[] | undefined> {
  const parts: CapturePart[] = [];
  for (let worker = 0; worker < plan.workers; worker += 1) {
    const part = await session.part(worker);
    if (part === undefined) return undefined;
    parts.push(part);
  }
  return parts;
}

/** Of several workers that find all parts done, one commits, and the others take its recovery point. */
async function commitOnce(
  request: CaptureRequest,
  plan: CapturePlan,
  parts: readonly CapturePart[],
  baseRecoveryPoint: RecoveryPoint | undefined,
): Promise<RecoveryPoint> {
  if (request.worker === undefined) return commitCapture(request, plan, parts, baseRecoveryPoint);
  const committed = await committedRecoveryPoint(request.repository, plan.recoveryPoint);
  if (committed !== undefined) return committed;
  try {
    return await commitCapture(request, plan, parts, baseRecoveryPoint);
  } catch (error) {
    const other = await committedRecoveryPoint(request.repository, plan.recoveryPoint);
    if (other !== undefined) return other;
    throw error;
  }
}

function reportOf(
  plan: CapturePlan,
  part: CapturePart,
  recoveryPoint: RecoveryPoint | undefined,
  seconds: number,
): CaptureReport {
  return {
    recoveryPoint: plan.recoveryPoint,
    type: plan.type,
    time: recoveryPoint?.time ?? plan.at,
    collections: recoveryPoint?.collections.length ?? plan.collections.length,
    folders: recoveryPoint?.folders.length ?? plan.folders.length,
    points: recoveryPoint?.collections.reduce((sum, { pointsAfter }) => sum + pointsAfter, 0) ?? 0,
    isExact: recoveryPoint !== undefined && isExact(recoveryPoint),
    readBytes: part.readBytes,
    storedBytes: part.storedBytes,
    seconds,
    isCommitted: recoveryPoint !== undefined,
  };
}
