/**
 * What a capture leaves in the bucket before it stores anything: its plan. Workers of one capture agree on it, and a
 * capture that was cut off is recognised by a plan without a point.
 */
import {
  type CapturePart,
  type CapturePlan,
  capturePartSchema,
  capturePlanSchema,
} from "../../domain/recovery-points/capture-plan.ts";
import type { RecoveryPoint } from "../../domain/recovery-points/recovery-point.ts";
import { storeLayout } from "../../domain/recovery-points/store-layout.ts";
import { hasCode } from "../../errors.ts";
import type { OpenRepository } from "../repository.ts";

export class CaptureSession {
  readonly #repository: OpenRepository;
  readonly #name: string;

  constructor(repository: OpenRepository, name: string) {
    this.#repository = repository;
    this.#name = name;
  }

  /** The plan of whoever came first. */
  async agree(plan: CapturePlan): Promise<CapturePlan> {
    await this.#repository.createRecord(storeLayout.capturePlan(this.#name), plan);
    return this.#repository.readRecord(storeLayout.capturePlan(this.#name), capturePlanSchema);
  }

  plan(): Promise<CapturePlan | undefined> {
    return orNothing(this.#repository.readRecord(storeLayout.capturePlan(this.#name), capturePlanSchema));
  }

  /** The part of whoever did it first. */
  async keepPart(part: CapturePart): Promise<void> {
    await this.#repository.createRecord(storeLayout.capturePart(this.#name, part.worker), part);
  }

  /** Says that the point was made, for who looks for captures that were cut off. */
  async end(plan: CapturePlan): Promise<void> {
    await this.#repository.createRecord(storeLayout.captureCommitted(this.#name), { point: plan.point });
  }

  part(worker: number): Promise<CapturePart | undefined> {
    return orNothing(this.#repository.readRecord(storeLayout.capturePart(this.#name, worker), capturePartSchema));
  }
}

/**
 * Plans of captures that began after `since` and made no point: cut off, or still under way.
 * @param points ids of the points that were made.
 */
export async function unfinishedCaptures(
  repository: OpenRepository,
  points: ReadonlySet<string>,
  since: Date | undefined,
): Promise<CapturePlan[]> {
  const keys: string[] = [];
  for await (const { key } of repository.stores.repository.list(storeLayout.sessions)) keys.push(key);
  const ended = new Set(keys.filter((key) => key.endsWith("/committed")).map((key) => key.split("/")[1]));
  const unfinished: CapturePlan[] = [];
  for (const key of keys) {
    const name = key.split("/")[1] ?? "";
    if (key !== storeLayout.capturePlan(name) || ended.has(name) || points.has(name)) continue;
    const plan = await repository.readRecord(key, capturePlanSchema);
    if (points.has(plan.point) || (since !== undefined && Date.parse(plan.at) <= since.getTime())) continue;
    unfinished.push(plan);
  }
  return unfinished;
}

/** The point, when it was made. */
export function committedPoint(repository: OpenRepository, id: string): Promise<RecoveryPoint | undefined> {
  return orNothing(repository.readPoint(id));
}

async function orNothing<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (hasCode(error, "OBJECT_NOT_FOUND")) return undefined;
    throw error;
  }
}
