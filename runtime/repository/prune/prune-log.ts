/**
 * The prunes of a repository, numbered from 1 without a gap. There is one plan at a time: the next one is made when the last was
 * executed to its end.
 */
import {
  type PruneDone,
  type PrunePlan,
  pruneBegunSchema,
  pruneDoneSchema,
  prunePlanSchema,
} from "../../domain/history/prune-records.ts";
import { controlLayout } from "../../domain/recovery-points/store-layout.ts";
import type { ObjectStoreReader } from "../../ports/object-store.ts";
import { type LogEntry, NumberedLog } from "../numbered-log.ts";
import { readOptionalRecord, unlessUnreadable } from "../record.ts";

export function prunePlans(control: ObjectStoreReader): NumberedLog<PrunePlan> {
  return new NumberedLog(control, controlLayout.prunePlan, prunePlanSchema);
}

/** @param after the number of a plan that is known; 0 when none is. */
export function newestPlan(control: ObjectStoreReader, after = 0): Promise<LogEntry<PrunePlan> | undefined> {
  return prunePlans(control).newest(after === 0 ? undefined : { number: after, record: undefined });
}

export function readDone(control: ObjectStoreReader, number: number): Promise<PruneDone | undefined> {
  return readOptionalRecord(control, controlLayout.pruneDone(number), pruneDoneSchema);
}

/** Whether objects of the plan may be gone. A record that cannot be read says so, too. */
export async function hasBegun(control: ObjectStoreReader, number: number): Promise<boolean> {
  const key = controlLayout.pruneBegun(number);
  let isUnreadable = false;
  const begun = await unlessUnreadable(key, readOptionalRecord(control, key, pruneBegunSchema), () => {
    isUnreadable = true;
  });
  return begun !== undefined || isUnreadable;
}
