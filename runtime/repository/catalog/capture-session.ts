/**
 * What a capture leaves in the bucket before it stores anything: its plan. Workers of one capture agree on it, and a
 * capture that was cut off is recognised by a plan without a recovery point.
 */
import { z } from "zod";
import { newId, timeOfId } from "../../domain/identifier.ts";
import {
  type CapturePart,
  type CapturePlan,
  capturePartSchema,
  capturePlanSchema,
} from "../../domain/recovery-points/capture-plan.ts";
import type { RecoveryPoint } from "../../domain/recovery-points/recovery-point.ts";
import { parseStoreKey, storeLayout } from "../../domain/recovery-points/store-layout.ts";
import { DrError, hasCode } from "../../errors.ts";
import { createRecord, type ReportUnreadable, unlessMissing, unlessUnreadable } from "../record.ts";
import type { OpenRepository } from "../repository.ts";

/**
 * How often a capture that lasts gives a sign of life. What a session stores and builds on is spared until it was silent for an hour in
 * the stream, and for two days in the history.
 */
const aliveEveryMs = 10 * 60_000;

const aliveSchema = z.object({ at: z.iso.datetime() });

const committedSchema = z.object({ recoveryPoint: z.string() });

export class CaptureSession {
  readonly #repository: OpenRepository;
  readonly #name: string;

  constructor(repository: OpenRepository, name: string) {
    this.#repository = repository;
    this.#name = name;
  }

  /** The plan of whoever came first. */
  async agree(plan: CapturePlan): Promise<CapturePlan> {
    await this.#repository.createRecord(storeLayout.capturePlan(this.#name), capturePlanSchema, plan);
    return this.#read(storeLayout.capturePlan(this.#name), capturePlanSchema);
  }

  plan(): Promise<CapturePlan | undefined> {
    return unlessMissing(this.#read(storeLayout.capturePlan(this.#name), capturePlanSchema));
  }

  /** The part of whoever did it first. */
  async keepPart(part: CapturePart): Promise<void> {
    await this.#repository.createRecord(storeLayout.capturePart(this.#name, part.worker), capturePartSchema, part);
  }

  /** Says that the recovery point was made, for who looks for captures that were cut off. */
  async end(plan: CapturePlan): Promise<void> {
    const committed = storeLayout.captureCommitted(this.#name);
    await this.#repository.createRecord(committed, committedSchema, { recoveryPoint: plan.recoveryPoint });
  }

  part(worker: number): Promise<CapturePart | undefined> {
    return unlessMissing(this.#read(storeLayout.capturePart(this.#name, worker), capturePartSchema));
  }

  /** What cannot be read stands there for good, and this session with it; other sessions do not need it. */
  async #read<T>(place: string, schema: z.ZodType<T>): Promise<T> {
    try {
      return await this.#repository.readRecord(place, schema);
    } catch (cause) {
      if (!hasCode(cause, "OBJECT_CORRUPT", "NOT_AUTHENTIC")) throw cause;
      throw new DrError(cause.code, cause.message, {
        hint: "capture again under another session name: this session cannot be gone on with",
        cause,
      });
    }
  }
}

/** Says that a session is alive. A copy has a session of the recovery point's id, and no plan. */
export async function signalSession({ stores }: OpenRepository, session: string, at: Date): Promise<void> {
  const key = storeLayout.sessionAlive(session, newId(at));
  await createRecord(stores.repository, key, aliveSchema, { at: at.toISOString() });
}

/** Says so again and again, until the returned function is called. A sign that fails is missed by nobody but a prune, days later. */
export function keepSessionAlive(repository: OpenRepository, session: string, now: () => Date): () => void {
  const timer = setInterval(() => {
    signalSession(repository, session, now()).catch(() => undefined);
  }, aliveEveryMs);
  timer.unref();
  return () => clearInterval(timer);
}

/** A capture that made no recovery point. */
export interface UnfinishedCapture {
  readonly plan: CapturePlan;
  /** When its plan was stored, by the bucket's clock, where that is told. */
  readonly storedAt: Date | undefined;
}

/**
 * Captures that began after `since` and made no recovery point: cut off, or still under way. One whose plan cannot be read is told
 * and counts as none: what it stored is stored again where it is needed.
 */
export async function unfinishedCaptures(
  repository: OpenRepository,
  since: Date | undefined,
  reportUnreadable: ReportUnreadable,
): Promise<UnfinishedCapture[]> {
  const store = repository.stores.repository;
  const isMade = async (id: string) => (await store.sizeOf(storeLayout.manifest(id))) !== undefined;
  const ended = new Set<string>();
  const begun = new Map<string, Date | undefined>();
  for await (const { key, storedAt } of store.list(storeLayout.sessions)) {
    const parsed = parseStoreKey(key);
    if (parsed?.kind === "capture-committed") ended.add(parsed.session);
    // By the id, where the session has one: what is older than the base is not asked for.
    if (parsed?.kind === "capture-plan" && !isBefore(parsed.session, since)) begun.set(parsed.session, storedAt);
  }
  const unfinished: UnfinishedCapture[] = [];
  for (const [session, storedAt] of begun) {
    if (ended.has(session) || (await isMade(session))) continue;
    const key = storeLayout.capturePlan(session);
    const plan = await unlessUnreadable(key, repository.readRecord(key, capturePlanSchema), reportUnreadable);
    if (
      plan === undefined ||
      (since !== undefined && Date.parse(plan.at) <= since.getTime()) ||
      (await isMade(plan.recoveryPoint))
    )
      continue;
    unfinished.push({ plan, storedAt });
  }
  return unfinished;
}

/** An id is never of an earlier time than its plan. */
function isBefore(session: string, since: Date | undefined): boolean {
  const time = timeOfId(session);
  return time !== undefined && since !== undefined && time <= since;
}

/** The recovery point, when it was made. */
export function committedRecoveryPoint(repository: OpenRepository, id: string): Promise<RecoveryPoint | undefined> {
  return unlessMissing(repository.readRecoveryPoint(id));
}
