/**
 * Which recovery points are kept whatever the schedule says: a numbered log, so that no listing that comes back short hides one. It is in
 * the control store, where only operators may say so: who captures can neither keep what he made nor let go of what others keep.
 */
import {
  isKeptAt,
  type KeptRecord,
  type KeptRecoveryPoint,
  keptRecordSchema,
  mostKept,
} from "../../domain/history/kept-recovery-points.ts";
import { controlLayout } from "../../domain/recovery-points/store-layout.ts";
import { DrError } from "../../errors.ts";
import type { ObjectStore, ObjectStoreReader } from "../../ports/object-store.ts";
import { NumberedLog } from "../numbered-log.ts";
import { type ReportUnreadable, readOptionalRecord } from "../record.ts";

const logOf = (control: ObjectStoreReader) =>
  new NumberedLog<KeptRecord>(control, controlLayout.keptRecoveryPoints, keptRecordSchema);

/** By the recovery point; those that are kept no longer may be among them. */
export async function readKept(
  control: ObjectStoreReader,
  reportUnreadable: ReportUnreadable,
): Promise<ReadonlyMap<string, KeptRecoveryPoint>> {
  const newest = await logOf(control).newest();
  if (newest !== undefined && newest.record === undefined) {
    reportUnreadable(controlLayout.keptRecoveryPoints(newest.number));
  }
  // Who signed what follows may be a person whom this region was not told of: what that keeps is not known here.
  const next = controlLayout.keptRecoveryPoints((newest?.number ?? 0) + 1);
  await readOptionalRecord(control, next, keptRecordSchema, reportUnreadable);
  return new Map((newest?.record?.kept ?? []).map((each) => [each.recoveryPoint, each]));
}

/**
 * What is said of a recovery point takes the place of what was said of it before.
 * @param said undefined: it is kept no longer.
 */
export async function recordKept(
  control: ObjectStore,
  recoveryPoint: string,
  said: Omit<KeptRecoveryPoint, "recoveryPoint"> | undefined,
  now: Date,
): Promise<void> {
  const log = logOf(control);
  // Others may say something at the same moment: it is said again beside theirs.
  for (;;) {
    const newest = await log.newest();
    // Throws OBJECT_CORRUPT when it cannot be read: what it keeps must not be forgotten.
    const record = newest && (newest.record ?? (await log.read(newest.number)));
    const others = (record?.kept ?? []).filter((each) => each.recoveryPoint !== recoveryPoint && isKeptAt(each, now));
    const kept = [...others, ...(said === undefined ? [] : [{ recoveryPoint, ...said }])];
    if (kept.length > mostKept) {
      throw new DrError("NOT_SUPPORTED", `${mostKept} recovery points are kept already`, {
        hint: "end some with `qdrant-dr recovery-points keep --end`, or let `retention` keep more",
      });
    }
    const number = await log.free((newest?.number ?? 0) + 1);
    if ((await log.create(control, number, { at: now.toISOString(), kept })) === "created") return;
  }
}
