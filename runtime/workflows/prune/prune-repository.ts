/**
 * Drops what retention does not want, in two phases at least a day apart. A run executes the plan that is due, to its end, and then
 * makes the next one.
 */

import { clockToleranceMs } from "../../domain/history/decide-kept.ts";
import type { PruneDone, PrunePlan } from "../../domain/history/prune-records.ts";
import type { Retention } from "../../domain/history/retention.ts";
import { controlLayout } from "../../domain/recovery-points/store-layout.ts";
import { newestPlan, readDone } from "../../repository/prune/prune-log.ts";
import { executePlan } from "./execute-prune.ts";
import { dropsOf, writePlan } from "./plan-prune.ts";
import type { PruneContext, PruneRequest } from "./prune-context.ts";
import { pruneRefused } from "./prune-context.ts";
import { findExpiredRecords, pruneRecords, type RecordRetention, type RecordsPruned } from "./prune-records.ts";
import { PruneTurn, storedAt } from "./prune-turn.ts";
import { renewLocks } from "./renew-locks.ts";
import { type Expected, type Survey, surveyRepository } from "./survey-repository.ts";

/** Between the two phases. */
const phasesApartMs = 24 * 3_600_000;
/** A daily run comes a little earlier or later than the one before: it waits rather than put it off for a day. */
const longestWaitMs = 30 * 60_000;

export interface OpenPlanReport {
  readonly number: number;
  readonly plan: PrunePlan;
  /** When it may be executed. */
  readonly dueAt: Date;
  /** The session of a capture or copy that began before the plan and has not ended. */
  readonly waitsFor?: string;
}

export interface PruneReport {
  readonly executed?: { readonly number: number; readonly done: PruneDone };
  /** The plan that stands now; absent when there is nothing to drop. */
  readonly open?: OpenPlanReport;
  readonly records: RecordsPruned;
}

export async function pruneRepository(request: PruneRequest): Promise<PruneReport> {
  const turn = await PruneTurn.take(request);
  try {
    const pruned = await pruneInTurn(request, turn);
    const { prunableControl: prunable, progress, repository, retention } = request;
    const storeNow = await turn.storeNow();
    const records = await pruneRecords({
      control: repository.stores.control,
      prunable,
      progress,
      retention: recordRetention(request, retention, storeNow),
      stayMine: () => turn.stayMine(),
    });
    return { ...pruned, records };
  } finally {
    // A turn that is not given back is over two hours later.
    await turn.end().catch(() => undefined);
  }
}

/** A clock that is ahead makes no record old. */
function recordRetention({ clock }: PruneContext, { recordDays }: Retention, storeNow: Date): RecordRetention {
  return { recordDays, now: new Date(Math.min(storeNow.getTime(), clock.now().getTime())) };
}

async function pruneInTurn(request: PruneRequest, turn: PruneTurn): Promise<Omit<PruneReport, "records">> {
  const newest = await findNewest(request);
  let executed: PruneReport["executed"];
  if (newest !== undefined && newest.done === undefined) {
    const ended = await execute(request, turn, newest);
    if ("open" in ended) {
      await renewWhileOpen(request, turn);
      return ended;
    }
    executed = ended.executed;
  }
  const ran = executed === undefined ? {} : { executed };
  const next = (newest?.number ?? 0) + 1;
  const survey = await surveyRepository({
    ...request,
    aheadMs: phasesApartMs,
    storeNow: await turn.storeNow(),
    expected: expectedAfter(newest?.plan, executed?.done ?? newest?.done),
  });
  refuseEverything(survey);
  const written = await writePlan(request.repository, survey, {
    number: next,
    run: request.run,
    at: request.clock.now(),
    giveUp: request.giveUp,
    refuseUnlessMine: () => turn.stayMine(),
  });
  await renewLocks(request, survey);
  if (written === undefined) return ran;
  const at = await storedAt(request.repository.stores.control, controlLayout.prunePlan(next));
  return { ...ran, open: { ...written, dueAt: new Date(at.getTime() + phasesApartMs) } };
}

/** A plan may wait for a capture of days; locks do not wait. */
async function renewWhileOpen(request: PruneRequest, turn: PruneTurn): Promise<void> {
  if ((await request.repository.stores.repository.locks?.()) === undefined) return;
  const survey = await surveyRepository({ ...request, storeNow: await turn.storeNow(), expected: undefined });
  await renewLocks(request, survey);
}

interface NewestPlan {
  readonly number: number;
  /** Undefined when it cannot be read. */
  readonly plan: PrunePlan | undefined;
  readonly done: PruneDone | undefined;
}

async function findNewest({ repository }: PruneContext): Promise<NewestPlan | undefined> {
  const { control } = repository.stores;
  const entry = await newestPlan(control);
  if (entry === undefined) return undefined;
  return { number: entry.number, plan: entry.record, done: await readDone(control, entry.number) };
}

async function execute(
  request: PruneRequest,
  turn: PruneTurn,
  { number, plan }: NewestPlan,
): Promise<
  { readonly open: OpenPlanReport } | { readonly executed: { readonly number: number; readonly done: PruneDone } }
> {
  const { clock, repository } = request;
  const { control } = repository.stores;
  const key = controlLayout.prunePlan(number);
  if (plan === undefined) {
    throw pruneRefused(
      `${key} cannot be read: it was changed, or a newer version wrote it`,
      "update qdrant-dr; if it is damaged, remove this one object from the control store by hand: then a new plan is made",
    );
  }
  if (plan.repository !== repository.description.id) {
    throw pruneRefused(`${key} is of another repository`, "look whether the control store is that of this repository");
  }
  const plannedAt = await storedAt(control, key);
  const dueAt = new Date(plannedAt.getTime() + phasesApartMs);
  // By both clocks; this machine's may be behind that of the machine which planned.
  const leftMs = (storeNow: Date) =>
    Math.max(
      dueAt.getTime() - storeNow.getTime(),
      Date.parse(plan.at) + phasesApartMs - clockToleranceMs - clock.now().getTime(),
    );
  let storeNow = await turn.storeNow();
  if (leftMs(storeNow) > longestWaitMs) return { open: { number, plan, dueAt } };
  while (leftMs(storeNow) > 0) {
    await clock.sleep(leftMs(storeNow));
    storeNow = await turn.storeNow();
  }
  const stayMine = () => turn.stayMine();
  const ended = await executePlan({ ...request, number, plan, plannedAt, storeNow, stayMine });
  if ("waitsFor" in ended) return { open: { number, plan, dueAt, waitsFor: ended.waitsFor } };
  return { executed: { number, done: ended } };
}

/** What must be listed after the last prune: nobody else deletes. */
function expectedAfter(plan: PrunePlan | undefined, done: PruneDone | undefined): Expected | undefined {
  if (done === undefined) return undefined;
  return { counts: done.counted, recoveryPoints: plan?.kept ?? [] };
}

/** The last guard: whatever led to it, a plan that leaves nothing to restore is wrong. */
function refuseEverything({ decision, listing, restorable }: Survey): void {
  if (decision.dropped.size === 0) return;
  if (restorable.size > 0 && decision.dropped.size < listing.recoveryPoints.size) return;
  throw pruneRefused("the plan would drop every recovery point", "this is a defect: please report it");
}

export interface PrunePreview {
  readonly kept: { readonly id: string; readonly reasons: readonly string[] }[];
  readonly dropped: { readonly id: string; readonly reason: string }[];
  readonly objects: number;
  readonly bytes: number;
  /** Records of the control store that it would delete. */
  readonly records: number;
  readonly open?: { readonly number: number; readonly plan: PrunePlan };
}

/** What the next plan would drop. It writes nothing, so the store's own time is not asked for. */
export async function previewPrune(context: PruneContext): Promise<PrunePreview> {
  const newest = await findNewest(context);
  const survey = await surveyRepository({
    ...context,
    aheadMs: phasesApartMs,
    storeNow: context.clock.now(),
    expected: expectedAfter(newest?.plan, newest?.done),
  });
  refuseEverything(survey);
  const drops = dropsOf(context.repository, survey, context.giveUp);
  let objects = 0;
  let bytes = 0;
  for await (const { size } of drops.objects()) {
    objects += 1;
    bytes += size;
  }
  let records = 0;
  const until = recordRetention(context, context.retention, context.clock.now());
  for await (const { begun, ended } of findExpiredRecords(context.repository.stores.control, until)) {
    records += begun.length + ended.length;
  }
  return {
    kept: [...survey.decision.kept].map(([id, reasons]) => ({ id, reasons })),
    dropped: drops.recoveryPoints.map(({ id, reason }) => ({ id, reason })),
    objects,
    bytes,
    records,
    ...(newest?.plan === undefined || newest.done !== undefined
      ? {}
      : { open: { number: newest.number, plan: newest.plan } }),
  };
}
