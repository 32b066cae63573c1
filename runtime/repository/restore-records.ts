/**
 * Every restore of a region's points leaves a record in its control store before it changes anything, and another when it
 * is done. Those into the region's own Qdrant are meant below, unless another target is named. The records break lineages (a restore makes Qdrant's version counters another server's), and tell which
 * collections are half-made.
 */
import { z } from "zod";
import { controlLayout } from "../domain/points/store-layout.ts";
import type { ObjectStore, ObjectStoreReader } from "../ports.ts";
import { parseRecord } from "./parse-record.ts";

const restoreRecordSchema = z.object({
  id: z.string(),
  point: z.string(),
  /** By their names on the target. */
  collections: z.array(z.string()),
  /** Where it went when that is not the region's own Qdrant. */
  target: z.string().optional(),
  /** The failover that it was a step of. */
  epoch: z.number().int().positive().optional(),
  at: z.iso.datetime(),
});
export type RestoreRecord = z.infer<typeof restoreRecordSchema>;

export async function recordRestoreStart(control: ObjectStore, record: RestoreRecord): Promise<void> {
  await control.create(controlLayout.restore(record.id), Buffer.from(JSON.stringify(record)));
}

export async function recordRestoreEnd(control: ObjectStore, record: RestoreRecord, at: Date): Promise<void> {
  const bytes = Buffer.from(JSON.stringify({ ...record, at: at.toISOString() }));
  await control.create(controlLayout.restoreDone(record.id), bytes);
}

/** Id of the newest restore into this region that was begun. */
export async function newestRestore(control: ObjectStoreReader): Promise<string | undefined> {
  const { begun } = await readRecords(control, undefined);
  return begun.sort((a, b) => Date.parse(b.at) - Date.parse(a.at))[0]?.id;
}

/** The restore that ended last, into whatever target; its `at` is when it ended. */
export async function newestFinishedRestore(control: ObjectStoreReader): Promise<RestoreRecord | undefined> {
  let newest: RestoreRecord | undefined;
  for await (const { key } of control.list(controlLayout.restores)) {
    if (!key.endsWith(".done.json")) continue;
    const record = parseRecord(restoreRecordSchema, key, await control.get(key));
    if (newest === undefined || Date.parse(record.at) > Date.parse(newest.at)) newest = record;
  }
  return newest;
}

/**
 * Collections of the region's Qdrant, or of another target, whose newest restore was begun and not finished; with an epoch,
 * only by the failover of that epoch.
 */
export async function unfinishedCollections(
  control: ObjectStoreReader,
  { epoch, target }: { readonly epoch?: number | undefined; readonly target?: string | undefined } = {},
): Promise<Set<string>> {
  const { begun, done } = await readRecords(control, target);
  const newest = new Map<string, RestoreRecord>();
  for (const record of begun.sort((a, b) => Date.parse(a.at) - Date.parse(b.at))) {
    for (const collection of record.collections) newest.set(collection, record);
  }
  const isMeant = (record: RestoreRecord) => !done.has(record.id) && (epoch === undefined || record.epoch === epoch);
  return new Set([...newest].filter(([, record]) => isMeant(record)).map(([collection]) => collection));
}

/** Restores into this region that began after `since` and have not ended. */
export async function restoresUnderWay(control: ObjectStoreReader, since: Date): Promise<string[]> {
  const { begun, done } = await readRecords(control, undefined);
  return begun.filter(({ at, id }) => !done.has(id) && Date.parse(at) > since.getTime()).map(({ id }) => id);
}

/** Whether the failover of this epoch has restored its point whole already. */
export async function isRestoredBy(control: ObjectStoreReader, epoch: number): Promise<boolean> {
  const { begun, done } = await readRecords(control, undefined);
  return begun.some((record) => record.epoch === epoch && done.has(record.id));
}

/** @param target undefined: the region's own Qdrant. */
async function readRecords(
  control: ObjectStoreReader,
  target: string | undefined,
): Promise<{ begun: RestoreRecord[]; done: Set<string> }> {
  const begun: RestoreRecord[] = [];
  const done = new Set<string>();
  for await (const { key } of control.list(controlLayout.restores)) {
    const record = parseRecord(restoreRecordSchema, key, await control.get(key));
    if (record.target !== target) continue;
    if (key === controlLayout.restoreDone(record.id)) done.add(record.id);
    else begun.push(record);
  }
  return { begun, done };
}
