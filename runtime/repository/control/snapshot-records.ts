/**
 * Collection snapshots that captures leave on a Qdrant for a while. Qdrant names them, and they look like anybody's: each
 * is recorded before it is made, when its name is known, and when it is gone, so that a later run can remove what a killed
 * one left, and nothing else.
 */
import { z } from "zod";
import { controlLayout, parseControlKey } from "../../domain/recovery-points/store-layout.ts";
import type { ObjectStore, ObjectStoreReader } from "../../ports/object-store.ts";
import { createRecord, keysUnder, type ReportUnreadable, readRecords } from "../record.ts";

export const snapshotRecordSchema = z.object({
  id: z.string(),
  collection: z.string(),
  shard: z.number().int().nonnegative(),
  peer: z.number(),
  at: z.iso.datetime(),
  /** The collection's snapshots that were there before: none of them is ours. */
  before: z.array(z.string()),
  /** Absent until Qdrant has told it. */
  name: z.string().optional(),
});
export type SnapshotRecord = z.infer<typeof snapshotRecordSchema>;

export async function recordSnapshot(
  control: ObjectStore,
  record: SnapshotRecord,
  phase: "making" | "made" | "gone",
): Promise<void> {
  await createRecord(control, controlLayout.snapshot(record.id, phase), snapshotRecordSchema, record);
}

/** What is not known to be gone, as far as it is known. Of one that cannot be read, nothing is removed. */
export async function leftSnapshots(
  control: ObjectStoreReader,
  reportUnreadable: ReportUnreadable,
): Promise<SnapshotRecord[]> {
  const keys = new Set(await keysUnder(control, controlLayout.snapshots));
  const newest: string[] = [];
  for (const key of keys) {
    const parsed = parseControlKey(key);
    if (parsed?.kind !== "snapshot" || parsed.phase !== "making") continue;
    if (keys.has(controlLayout.snapshot(parsed.id, "gone"))) continue;
    const made = controlLayout.snapshot(parsed.id, "made");
    newest.push(keys.has(made) ? made : key);
  }
  return (await readRecords(control, newest, snapshotRecordSchema, reportUnreadable)).map(({ record }) => record);
}
