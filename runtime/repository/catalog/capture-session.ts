/**
 * What a capture leaves in the bucket before it stores anything: its plan. Workers of one capture agree on it, and a
 * capture that was cut off is recognised by a plan without a recovery point.
 */
import { z } from "zod";
import { newId } from "../../domain/identifier.ts";
import {
  type CapturePart,
  type CapturePlan,
  capturePartSchema,
  capturePlanSchema,
} from "../../domain/recovery-points/capture-plan.ts";
import type { RecoveryPoint } from "../../domain/recovery-points/recovery-point.ts";
import { parseStoreKey, storeLayout } from "../../domain/recovery-points/store-layout.ts";
import { DrError, hasCode } from "../../errors.ts";
import { createRecord, keysUnder, type ReportUnreadable, unlessMissing, unlessUnreadable } from "../record.ts";
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

/**
 * Plans of captures that began after `since` and made no recovery point: cut off, or still under way. One that cannot be read is told
 * and counts as none: what its capture stored is stored again where it is needed.
 * @param recoveryPoints ids of the recovery points that were made.
 */
export async function unfinishedCaptures(
  repository: OpenRepository,
  recoveryPoints: ReadonlySet<string>,
  since: Date | undefined,
  reportUnreadable: ReportUnreadable,
): Promise<CapturePlan[]> {
  const keys = await keysUnder(repository.stores.repository, storeLayout.sessions);
  const found = keys.flatMap((key) => parseStoreKey(key) ?? []);
  const ended = new Set(found.flatMap((key) => (key.kind === "capture-committed" ? [key.session] : [])));
  const begun = found.flatMap((key) => (key.kind === "capture-plan" ? [key.session] : []));
  const unfinished: CapturePlan[] = [];
  for (const session of begun) {
    if (ended.has(session) || recoveryPoints.has(session)) continue;
    const key = storeLayout.capturePlan(session);
    const plan = await unlessUnreadable(key, repository.readRecord(key, capturePlanSchema), reportUnreadable);
    if (
      plan === undefined ||
      recoveryPoints.has(plan.recoveryPoint) ||
      (since !== undefined && Date.parse(plan.at) <= since.getTime())
    )
      continue;
    unfinished.push(plan);
  }
  return unfinished;
}

/** The recovery point, when it was made. */
export function committedRecoveryPoint(repository: OpenRepository, id: string): Promise<RecoveryPoint | undefined> {
  return unlessMissing(repository.readRecoveryPoint(id));
}
