import { type EpochRecord, epochRecordSchema, newestEpoch } from "../domain/estate/epoch.ts";
import { controlLayout } from "../domain/points/store-layout.ts";
import { hasCode } from "../errors.ts";
import type { ObjectStore, ObjectStoreReader } from "../ports.ts";
import { parseRecord } from "./parse-record.ts";

export async function readEpochs(control: ObjectStoreReader): Promise<EpochRecord[]> {
  const keys: string[] = [];
  for await (const { key } of control.list(controlLayout.epochs)) keys.push(key);
  const records = await Promise.all(
    keys.map(async (key) => parseRecord(epochRecordSchema, key, await control.get(key))),
  );
  // A listing that came back short must not bring a deposed region back: what follows the newest is asked for by name.
  for (let newest = newestEpoch(records); newest !== undefined; ) {
    newest = await readEpoch(control, newest.epoch + 1);
    if (newest !== undefined) records.push(newest);
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
