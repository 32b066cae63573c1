/** Captures a recovery point of a region: plan, parts, commit. One worker does all of it, or several share the parts. */
import type { CapturePart, CapturePlan } from "../../domain/points/capture-plan.ts";
import { type CaptureType, isExact, type RecoveryPoint } from "../../domain/points/recovery-point.ts";
import { DrError } from "../../errors.ts";
import { CaptureSession, committedPoint, unfinishedCaptures } from "../../repository/capture-session.ts";
import type { UnclaimedPieces } from "../../repository/content-writer.ts";
import { type CaptureBase, readCaptureBase } from "../../repository/read-catalog.ts";
import { findUnclaimedPieces } from "../../repository/unclaimed-pieces.ts";
import { capturePart, type PartContext } from "./capture-part.ts";
import { commitCapture } from "./commit-capture.ts";
import { type CaptureRequest, type Placements, planCapture } from "./plan-capture.ts";

export interface CaptureReport {
  readonly point: string;
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
  /** False when other workers have not done their parts: the last of them commits. */
  readonly isCommitted: boolean;
}

export async function capturePoint(request: CaptureRequest): Promise<CaptureReport> {
  const { clock, kinds = ["qdrant"], repository, worker } = request;
  const begun = clock.now();
  const base = await readCaptureBase(repository, kinds);
  const session = worker === undefined ? undefined : new CaptureSession(repository, worker.session);
  const placements: Placements = new Map();
  const propose = () => planCapture(request, base, placements);
  const plan = session === undefined ? await propose() : await agreedPlan(request, session, propose);
  const basePoint = plan.base === undefined ? undefined : await basePointOf(request, base, plan.base);
  const done = await session?.part(worker?.index ?? 0);
  const part = done ?? (await doPart(request, { base, basePoint, placements, plan }));
  if (done === undefined) await session?.keepPart(part);
  const parts = session === undefined ? [part] : await allParts(session, plan);
  const seconds = () => (clock.now().getTime() - begun.getTime()) / 1000;
  if (parts === undefined) return reportOf(plan, part, undefined, seconds());
  const point = await commitOnce(request, plan, parts, basePoint);
  await session?.end(plan);
  return reportOf(plan, part, point, seconds());
}

async function doPart(
  request: CaptureRequest,
  context: Pick<PartContext, "base" | "basePoint" | "placements" | "plan">,
): Promise<CapturePart> {
  const { base, plan } = context;
  const { repository, worker } = request;
  let begun: Promise<unknown> | undefined;
  let unclaimed: Promise<UnclaimedPieces | undefined> | undefined;
  return capturePart(request, {
    ...context,
    unclaimed: () => {
      unclaimed ??= unclaimedPieces(request, base, plan);
      return unclaimed;
    },
    // Workers have agreed on the plan; a single one writes it when there is something to store.
    beginStoring: async () => {
      if (worker === undefined) begun ??= new CaptureSession(repository, plan.point).agree(plan);
      await begun;
    },
  });
}

/** Looked for only when an earlier capture was cut off since the last point was made: it costs a look at every tree. */
async function unclaimedPieces(
  { repository }: CaptureRequest,
  base: CaptureBase,
  plan: CapturePlan,
): Promise<UnclaimedPieces | undefined> {
  const newest = [...base.points.values()].map(({ startedAt }) => Date.parse(startedAt));
  const since = newest.length === 0 ? undefined : new Date(Math.max(...newest));
  const unfinished = await unfinishedCaptures(repository, base.listed, since);
  const wasCutOff = unfinished.some(({ point }) => point !== plan.point || plan.workers > 1);
  return wasCutOff ? findUnclaimedPieces(repository, base) : undefined;
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

async function basePointOf({ repository }: CaptureRequest, base: CaptureBase, id: string): Promise<RecoveryPoint> {
  const known = [...base.points.values()].find((point) => point.id === id);
  return known ?? repository.readPoint(id);
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

/** Of several workers that find all parts done, one commits, and the others take its point. */
async function commitOnce(
  request: CaptureRequest,
  plan: CapturePlan,
  parts: readonly CapturePart[],
  basePoint: RecoveryPoint | undefined,
): Promise<RecoveryPoint> {
  if (request.worker === undefined) return commitCapture(request, plan, parts, basePoint);
  const committed = await committedPoint(request.repository, plan.point);
  if (committed !== undefined) return committed;
  try {
    return await commitCapture(request, plan, parts, basePoint);
  } catch (error) {
    const other = await committedPoint(request.repository, plan.point);
    if (other !== undefined) return other;
    throw error;
  }
}

function reportOf(
  plan: CapturePlan,
  part: CapturePart,
  point: RecoveryPoint | undefined,
  seconds: number,
): CaptureReport {
  return {
    point: plan.point,
    type: plan.type,
    time: point?.time ?? plan.at,
    collections: point?.collections.length ?? plan.collections.length,
    folders: point?.folders.length ?? plan.folders.length,
    points: point?.collections.reduce((sum, { pointsAfter }) => sum + pointsAfter, 0) ?? 0,
    isExact: point !== undefined && isExact(point),
    readBytes: part.readBytes,
    storedBytes: part.storedBytes,
    seconds,
    isCommitted: point !== undefined,
  };
}
