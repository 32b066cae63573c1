/**
 * Every restore of a region's points leaves a record in its control store before it changes anything, and another when it
 * is done. The records break lineages (a restore makes Qdrant's version counters another server's), and tell which collections
 * are half-made.
 */
import { z } from "zod";
import { controlLayout } from "../../domain/recovery-points/store-layout.ts";
import type { ObjectStore, ObjectStoreReader } from "../../ports.ts";
import { parseRecord } from "../parse-record.ts";

const restoreRecordSchema = z.object({
  id: z.string(),
  point: z.string(),
  /** By their names on the target. */
  collections: z.array(z.string()),
  /** Where it went when that is not the region's own Qdrant. */
  target: z.string().optional(),
  /** Marks of the processes that answered there: another server may at the same address, later. */
  processes: z.array(z.string()).optional(),
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

/** The records of restores into one target. */
export interface RestoreRecords {
  readonly begun: readonly RestoreRecord[];
  /** Ids of those that have ended. */
  readonly done: ReadonlySet<string>;
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

/** @param target undefined: the region's own Qdrant. */
export async function readRestores(control: ObjectStoreReader, target?: string): Promise<RestoreRecords> {
  const keys: string[] = [];
  for await (const { key } of control.list(controlLayout.restores)) keys.push(key);
  const records = await Promise.all(
    keys.map(async (key) => ({ key, record: parseRecord(restoreRecordSchema, key, await control.get(key)) })),
  );
  const ofTarget = records.filter(({ record }) => record.target === target);
  const isEnd = ({ key, record }: (typeof records)[number]) => key === controlLayout.restoreDone(record.id);
  return {
    begun: ofTarget
      .filter((one) => !isEnd(one))
      .map(({ record }) => record)
      .sort((a, b) => Date.parse(a.at) - Date.parse(b.at)),
    done: new Set(ofTarget.filter(isEnd).map(({ record }) => record.id)),
  };
}

/** Id of the newest restore that was begun. */
export function newestRestore({ begun }: RestoreRecords): string | undefined {
  return begun.at(-1)?.id;
}

/** Collections whose newest restore was begun and not finished, with its record; with an epoch, only by that failover. */
export function unfinishedCollections({ begun, done }: RestoreRecords, epoch?: number): Map<string, RestoreRecord> {
  const newest = new Map<string, RestoreRecord>();
  for (const record of begun) for (const collection of record.collections) newest.set(collection, record);
  const isMeant = (record: RestoreRecord) => !done.has(record.id) && (epoch === undefined || record.epoch === epoch);
  return new Map([...newest].filter(([, record]) => isMeant(record)));
}

/** Restores that began after `since` and have not ended. */
export function restoresUnderWay({ begun, done }: RestoreRecords, since: Date): string[] {
  return begun.filter(({ at, id }) => !done.has(id) && Date.parse(at) > since.getTime()).map(({ id }) => id);
}
