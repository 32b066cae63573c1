/**
 * Records of runs, in the control store of the region that they are about: create-only, one when a run ends. A run that is killed leaves
 * none, and is noticed by the time since the last success.
 */
import { newId } from "../../domain/identifier.ts";
import { type RunKind, type RunRecord, runRecordSchema } from "../../domain/monitoring/runs.ts";
import { controlLayout, dayOf, parseControlKey } from "../../domain/recovery-points/store-layout.ts";
import type { ObjectStore, ObjectStoreReader } from "../../ports/object-store.ts";
import { createRecord, ignoreUnreadable, readRecord, unlessMissing, unlessUnreadable } from "../record.ts";

export const dayMs = 24 * 3_600_000;
/** Runs that ended earlier are not looked for. */
export const daysLookedAt = 35;

export async function recordRun(control: ObjectStore, record: RunRecord): Promise<void> {
  const at = new Date(record.finishedAt);
  await createRecord(control, controlLayout.run(at, newId(at), record.run), runRecordSchema, record);
}

/** Keys of the records of runs that ended on this day, with the kind that each is of and when it was stored. */
export async function runsOfDay(
  control: ObjectStoreReader,
  day: string,
): Promise<{ readonly key: string; readonly run: RunKind | undefined; readonly storedAt: Date | undefined }[]> {
  const found: { key: string; run: RunKind | undefined; storedAt: Date | undefined }[] = [];
  for await (const { key, storedAt } of control.list(controlLayout.runsOfDay(day))) {
    const parsed = parseControlKey(key);
    if (parsed?.kind === "run")
      found.push({ key, run: runRecordSchema.shape.run.safeParse(parsed.run).data, storedAt });
  }
  return found;
}

/**
 * When the newest run of this kind began that ended well and began at `since` or later; undefined when there is none. One that claims to have
 * begun in the future does not count.
 */
export async function successfulRunSince(
  control: ObjectStoreReader,
  run: RunKind,
  since: Date,
  now: Date,
): Promise<Date | undefined> {
  const starts: Date[] = [];
  for (const day of daysBetween(since, now)) {
    for (const { key, run: kind } of await runsOfDay(control, day)) {
      if (kind !== run) continue;
      const record = await unlessUnreadable(key, unlessMissing(readRun(control, key)), ignoreUnreadable);
      const startedAt = record?.exitCode === 0 ? new Date(record.startedAt) : undefined;
      if (startedAt !== undefined && startedAt >= since && startedAt <= now) starts.push(startedAt);
    }
  }
  return starts.sort((a, b) => b.getTime() - a.getTime())[0];
}

/** Days from the newest on, those of the last weeks. */
function daysBetween(since: Date, now: Date): string[] {
  const days = Math.floor((Date.parse(dayOf(now)) - Date.parse(dayOf(since))) / dayMs) + 1;
  return Array.from({ length: Math.min(days, daysLookedAt) }, (_, back) =>
    dayOf(new Date(now.getTime() - back * dayMs)),
  );
}

export function readRun(control: ObjectStoreReader, key: string): Promise<RunRecord> {
  return readRecord(control, key, runRecordSchema);
}
