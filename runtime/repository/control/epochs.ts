import { controlLayout } from "../../domain/recovery-points/store-layout.ts";
import { type EpochRecord, epochRecordSchema, newestEpoch } from "../../domain/roles/epoch.ts";
import type { ObjectStore, ObjectStoreReader } from "../../ports/object-store.ts";
import {
  claimRecord,
  keysUnder,
  readOptionalRecord,
  readRecord,
  readRecords,
  type TellUnreadable,
  untold,
} from "../record.ts";

/**
 * One that cannot be read is told and left out as long as a later one stands. Throws OBJECT_CORRUPT when it is the newest:
 * what it said decides who is active, and what was true before it must not be believed in its place.
 */
export async function readEpochs(control: ObjectStoreReader, tell: TellUnreadable = untold): Promise<EpochRecord[]> {
  const unreadable: string[] = [];
  const keys = await keysUnder(control, controlLayout.epochs);
  const read = await readRecords(control, keys, epochRecordSchema, (key) => unreadable.push(key));
  // What does not stand under its own number says nothing.
  const listed = read.flatMap(({ key, record }) => (key === controlLayout.epoch(record.epoch) ? [record] : []));
  // A listing that came back short must not bring a deposed region back: what follows the newest is asked for by name.
  const known = newestEpoch(listed);
  const records = known === undefined ? listed : [...listed, ...(await epochsAfter(control, known.epoch))];
  const newest = newestEpoch(records)?.epoch ?? 0;
  for (const key of unreadable) {
    const number = numberOf(key);
    if (number !== undefined && number > newest) await readRecord(control, key, epochRecordSchema);
    tell(key);
  }
  return records;
}

/** Undefined for what is not the key of an epoch. */
function numberOf(key: string): number | undefined {
  const number = Number(/(\d+)\.json$/.exec(key)?.[1]);
  return key === controlLayout.epoch(number) ? number : undefined;
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

function readEpoch(control: ObjectStoreReader, epoch: number): Promise<EpochRecord | undefined> {
  return readOptionalRecord(control, controlLayout.epoch(epoch), epochRecordSchema);
}

/** The record that stands under this epoch afterwards: ours, or the one of whoever was first. */
export function claimEpoch(control: ObjectStore, record: EpochRecord): Promise<EpochRecord> {
  return claimRecord(control, controlLayout.epoch(record.epoch), epochRecordSchema, record);
}
