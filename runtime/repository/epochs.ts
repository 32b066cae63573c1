import { type EpochRecord, epochRecordSchema } from "../domain/epoch.ts";
import { controlLayout } from "../domain/store-layout.ts";
import type { ObjectStore, ObjectStoreReader } from "../ports.ts";
import { parseRecord } from "./parse-record.ts";

export async function readEpochs(control: ObjectStoreReader): Promise<EpochRecord[]> {
  const records: EpochRecord[] = [];
  for await (const { key } of control.list(controlLayout.epochs)) {
    records.push(parseRecord(epochRecordSchema, key, await control.get(key)));
  }
  return records;
}

/** The record that stands under this epoch afterwards: ours, or the one of whoever was first. */
export async function claimEpoch(control: ObjectStore, record: EpochRecord): Promise<EpochRecord> {
  const key = controlLayout.epoch(record.epoch);
  await control.create(key, Buffer.from(JSON.stringify(record)));
  return parseRecord(epochRecordSchema, key, await control.get(key));
}
