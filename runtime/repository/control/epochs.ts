import { controlLayout, parseControlKey } from "../../domain/recovery-points/store-layout.ts";
import { type EpochRecord, epochRecordSchema, newestEpoch } from "../../domain/roles/epoch.ts";
import { DrError } from "../../errors.ts";
import type { ObjectStore, ObjectStoreReader } from "../../ports/object-store.ts";
import {
  claimRecord,
  ignoreUnreadable,
  keysUnder,
  mostSteppedOver,
  type ReportUnreadable,
  readOptionalRecord,
  readRecord,
  readRecords,
  unlessNotBelieved,
} from "../record.ts";

/**
 * Reads all epochs. One that cannot be read is told and left out as long as a later one stands. Throws OBJECT_CORRUPT when it is the newest:
 * what it said decides who is active, and what was true before it must not be believed in its place. What no operator signed says nothing,
 * and is stepped over.
 */
export async function readEpochs(
  control: ObjectStoreReader,
  reportUnreadable: ReportUnreadable = ignoreUnreadable,
): Promise<EpochRecord[]> {
  const unreadable: string[] = [];
  const keys = (await keysUnder(control, controlLayout.epochs, mostEpochs)).filter(
    (key) => parseControlKey(key)?.kind === "epoch",
  );
  const read = await readRecords(control, keys, epochRecordSchema, (key) => unreadable.push(key));
  // What does not stand under its own number says nothing.
  const listed = read.flatMap(({ key, record }) => (key === controlLayout.epoch(record.epoch) ? [record] : []));
  // A listing that came back short must not bring a deposed region back: what follows the newest is asked for by name.
  const known = newestEpoch(listed);
  const records = known === undefined ? listed : [...listed, ...(await epochsAfter(control, known.epoch))];
  const newest = newestEpoch(records)?.epoch ?? 0;
  for (const key of unreadable) {
    const parsed = parseControlKey(key);
    if (parsed?.kind === "epoch" && parsed.epoch > newest) {
      await unlessNotBelieved(readRecord(control, key, epochRecordSchema));
    }
    reportUnreadable(key);
  }
  return records;
}

/** Reads the epochs of one control store again and again. An epoch that was seen once stays seen, whatever later listings say. */
export class EpochReader {
  readonly #control: ObjectStoreReader;
  #seen: readonly EpochRecord[] = [];

  constructor(control: ObjectStoreReader) {
    this.#control = control;
  }

  /** All epochs, in their order: for decisions that are made once. */
  async list(): Promise<readonly EpochRecord[]> {
    return this.#see(await readEpochs(this.#control));
  }

  /**
   * The epochs that were seen, with those that follow the newest of them: one request while none does. It misses epochs behind one
   * that this store was never told of; `list` does not.
   */
  async follow(): Promise<readonly EpochRecord[]> {
    const newest = newestEpoch(this.#seen);
    return newest === undefined ? this.list() : this.#see(await epochsAfter(this.#control, newest.epoch));
  }

  #see(records: readonly EpochRecord[]): readonly EpochRecord[] {
    const all = new Map([...this.#seen, ...records].map((record) => [record.epoch, record]));
    this.#seen = [...all.values()].sort((a, b) => a.epoch - b.epoch);
    return this.#seen;
  }
}

/** What follows this epoch, asked for by name. Throws STORE_REFUSED when that does not end. */
export async function epochsAfter(control: ObjectStoreReader, epoch: number): Promise<EpochRecord[]> {
  const records: EpochRecord[] = [];
  let notBelieved = 0;
  for (let number = epoch + 1; notBelieved <= mostSteppedOver; number += 1) {
    const next = await unlessNotBelieved(readEpoch(control, number));
    if (next === "not believed") {
      notBelieved += 1;
      continue;
    }
    if (next === undefined) return records;
    records.push(next);
    notBelieved = 0;
    if (records.length > mostEpochs) {
      throw new DrError("STORE_REFUSED", `more than ${mostEpochs} epochs follow epoch ${epoch}`, {
        hint: "no estate changes its roles so often: see in the store's access log who made them",
      });
    }
  }
  return records;
}

/** A record that does not stand under its own number says nothing. */
async function readEpoch(control: ObjectStoreReader, epoch: number): Promise<EpochRecord | undefined> {
  const record = await readOptionalRecord(control, controlLayout.epoch(epoch), epochRecordSchema);
  return record?.epoch === epoch ? record : undefined;
}

/** Ten changes of roles a day for almost three years. */
const mostEpochs = 10_000;

/** The record that stands under this epoch afterwards: ours, or the one of whoever was first. */
export function claimEpoch(control: ObjectStore, record: EpochRecord): Promise<EpochRecord> {
  return claimRecord(control, controlLayout.epoch(record.epoch), epochRecordSchema, record);
}
