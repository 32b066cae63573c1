import { controlLayout } from "../../domain/recovery-points/store-layout.ts";
import { type EpochRecord, epochRecordSchema, newestEpoch } from "../../domain/roles/epoch.ts";
import { hasCode } from "../../errors.ts";
import type { ObjectStore, ObjectStoreReader } from "../../ports.ts";
import { parseRecord } from "../parse-record.ts";

export async function readEpochs(control: ObjectStoreReader): Promise<EpochRecord[]> {
  const keys: string[] = [];
  for await (const { key } of control.list(controlLayout.epochs)) keys.push(key);
  const records = await Promise.all(
    keys.map(async (key) => parseRecord(epochRecordSchema, key, await control.get(key))),
  );
  // A listing that came back short must not bring a deposed region back: what follows the newest is asked for by name.
  const newest = newestEpoch(records);
  return newest === undefined ? records : [...records, ...(await epochsAfter(control, newest.epoch))];
}

/** The newest, when `known` was the newest once: a request. Without that, as many as it takes. */
export async function newestEpochSince(
  control: ObjectStoreReader,
  known: EpochRecord | undefined,
): Promise<EpochRecord | undefined> {
  const later = known === undefined ? await readEpochs(control) : await epochsAfter(control, known.epoch);
  return newestEpoch(later) ?? known;
}

/** What follows this epoch, asked for by name. */
export async function epochsAfter(control: ObjectStoreReader, epoch: number): Promise<EpochRecord[]> {
  const records: EpochRecord[] = [];
  for (let next = await readEpoch(control, epoch + 1); next !== undefined; ) {
    records.push(next);
    next = await readEpoch(control, next.epoch + 1);
  }
  return records;
}

async function readEpoch(control: ObjectStoreReader, epoch: number): Promise<EpochRecord | undefined> {
  const key = controlLayout.epoch(epoch);
  try {
    return parseRecord(epochRecordSchema, key, await control.get(key));
  } catch (error) {
    if (hasCode(error, "OBJECT_NOT_FOUND")) return undefined;
    throw error;
  }
}

/** The record that stands under this epoch afterwards: ours, or the one of whoever was first. */
export async function claimEpoch(control: ObjectStore, record: EpochRecord): Promise<EpochRecord> {
  const key = controlLayout.epoch(record.epoch);
  await control.create(key, Buffer.from(JSON.stringify(record)));
  return parseRecord(epochRecordSchema, key, await control.get(key));
}
