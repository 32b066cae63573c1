/**
 * How those who write recovery points and a prune keep out of each other's way. A prune records that it begins, and lists the
 * recovery points afterwards. Who commits a recovery point looks for that record afterwards. So one of the two always sees the
 * other: either the prune counts the recovery point, or the writer learns that objects of a plan may be gone, and whether it
 * names one of them. No clock has a part in that, and no writer is too slow.
 */
import {
  droppedObjectsSchema,
  droppedRecoveryPointsSchema,
  type PrunePlan,
} from "../../domain/history/prune-records.ts";
import type { PruneSight } from "../../domain/recovery-points/capture-plan.ts";
import { controlLayout } from "../../domain/recovery-points/store-layout.ts";
import { DrError, hasCode } from "../../errors.ts";
import type { ObjectStoreReader } from "../../ports/object-store.ts";
import { readRecord } from "../record.ts";
import { hasBegun, newestPlan, prunePlans, readDone } from "./prune-log.ts";

/** To be taken before anything of the repository is listed or read. */
export async function lookAtPrunes(control: ObjectStoreReader): Promise<PruneSight> {
  const newest = await newestPlan(control);
  if (newest === undefined) return { newest: 0, isOpen: false };
  return { newest: newest.number, isOpen: !(await isDone(control, newest.number)) };
}

async function isDone(control: ObjectStoreReader, number: number): Promise<boolean> {
  return (await readDone(control, number)) !== undefined;
}

/** Whether a plan was made since: what was read of the repository before may be in it. */
export async function isPlannedSince(control: ObjectStoreReader, sight: PruneSight): Promise<boolean> {
  return (await prunePlans(control).from(sight.newest + 1)) !== undefined;
}

/** The plan that is open, as far as writers must know it: they build on nothing that it drops. Undefined when none is open. */
export async function openPlan(control: ObjectStoreReader, sight: PruneSight): Promise<OpenPlan | undefined> {
  if (!sight.isOpen) return undefined;
  // One that cannot be read is executed by nobody.
  const plan = (await prunePlans(control).entry(sight.newest))?.record;
  return plan === undefined ? undefined : new OpenPlan(control, sight.newest, plan);
}

export class OpenPlan {
  readonly #control: ObjectStoreReader;
  readonly #number: number;
  readonly #plan: PrunePlan;

  constructor(control: ObjectStoreReader, number: number, plan: PrunePlan) {
    this.#control = control;
    this.#number = number;
    this.#plan = plan;
  }

  /** Ids of the recovery points that it drops, with the reason of each, part by part. */
  async *recoveryPoints() {
    const { parts, run } = this.#plan;
    for (let part = 0; part < parts.recoveryPoints; part += 1) {
      const key = controlLayout.prunePart(this.#number, run, part);
      yield (await readRecord(this.#control, key, droppedRecoveryPointsSchema)).recoveryPoints;
    }
  }

  /** The objects that it drops, part by part. */
  async *objects() {
    const { parts, run } = this.#plan;
    for (let part = 0; part < parts.objects; part += 1) {
      const key = controlLayout.prunePart(this.#number, run, parts.recoveryPoints + part);
      yield (await readRecord(this.#control, key, droppedObjectsSchema)).objects;
    }
  }

  async droppedIds(): Promise<Set<string>> {
    const ids = new Set<string>();
    for await (const recoveryPoints of this.recoveryPoints()) for (const { id } of recoveryPoints) ids.add(id);
    return ids;
  }
}

/**
 * Throws CAPTURE_INCOMPLETE when a prune began since that drops one of the objects: they may be gone. What was seen by then is no
 * harm: a prune that begins later counts the recovery point.
 * @param objects keys of the trees and packs that the recovery point needs; asked for only when a prune began.
 */
export async function refusePruned(
  control: ObjectStoreReader,
  sight: PruneSight,
  objects: () => Promise<ReadonlySet<string>>,
): Promise<void> {
  const newest = (await newestPlan(control, sight.newest))?.number ?? 0;
  let needed: ReadonlySet<string> | undefined;
  for (let number = sight.isOpen ? sight.newest : sight.newest + 1; number <= newest; number += 1) {
    if (!(await hasBegun(control, number))) continue;
    // One that cannot be read may drop anything. Nobody executes it, but it may have been executed before it was damaged.
    const plan = await prunePlans(control).read(number);
    if (plan === undefined) continue;
    needed ??= await unlessPruned(objects);
    for await (const dropped of new OpenPlan(control, number, plan).objects()) {
      const lost = dropped.find(({ key }) => needed?.has(key));
      if (lost !== undefined) throw pruned(lost.key);
    }
  }
}

async function unlessPruned<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (hasCode(error, "OBJECT_NOT_FOUND")) throw pruned(error.message);
    throw error;
  }
}

function pruned(key: string): DrError {
  return new DrError("CAPTURE_INCOMPLETE", `a prune that began meanwhile removes what this builds on: ${key}`, {
    hint: "run it again: it then builds on what is kept",
  });
}
