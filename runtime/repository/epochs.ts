import { type EpochRecord, epochRecordSchema } from "../domain/epoch.ts";
import { controlLayout } from "../domain/store-layout.ts";
import type { ObjectStore, ObjectStoreReader } from "../ports.ts";

export async function readEpochs(control: ObjectStoreReader): Promise<EpochRecord[]> {
  const records: EpochRecord[] = [];
  for await (const { key } of control.list(controlLayout.epochs)) {
    records.push(epochRecordSchema.parse(JSON.parse(String(await control.get(key)))));
  }
  return records;
}

/** The record that stands under this epoch afterwards: ours, or the one of whoever was first. */
export async function claimEpoch(control: ObjectStore, record: EpochRecord): Promise<EpochRecord> {
  const key = controlLayout.epoch(record.epoch);
  await control.create(key, Buffer.from(JSON.stringify(record)));
  return epochRecordSchema.parse(JSON.parse(String(await control.get(key))));
}
