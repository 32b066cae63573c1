/**
 * Records of runs, in the control store of the region that they are about: create-only, one when a run ends. A run that is killed leaves
 * none, and is noticed by the time since the last success.
 */
import { newId } from "../../domain/identifier.ts";
import { type RunKind, type RunRecord, runRecordSchema } from "../../domain/monitoring/runs.ts";
import { controlLayout, parseControlKey } from "../../domain/recovery-points/store-layout.ts";
import type { ObjectStore, ObjectStoreReader } from "../../ports/object-store.ts";
import { createRecord, readRecord } from "../record.ts";

export async function recordRun(control: ObjectStore, record: RunRecord): Promise<void> {
  const at = new Date(record.finishedAt);
  await createRecord(control, controlLayout.run(at, newId(at), record.run), runRecordSchema, record);
}

/** Keys of the records of runs that ended on this day, with the kind that each is of. */
export async function runsOfDay(
  control: ObjectStoreReader,
  day: string,
): Promise<{ readonly key: string; readonly run: RunKind | undefined }[]> {
  const found: { key: string; run: RunKind | undefined }[] = [];
  for await (const { key } of control.list(controlLayout.runsOfDay(day))) {
    const parsed = parseControlKey(key);
    const run = parsed?.kind === "run" ? parsed.run : undefined;
    found.push({ key, run: runRecordSchema.shape.run.safeParse(run).data });
  }
  return found;
}

export function readRun(control: ObjectStoreReader, key: string): Promise<RunRecord> {
  return readRecord(control, key, runRecordSchema);
}
