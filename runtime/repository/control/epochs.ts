import { controlLayout, parseControlKey } from "../../domain/recovery-points/store-layout.ts";
import { type EpochRecord, epochRecordSchema, newestEpoch } from "../../domain/roles/epoch.ts";
import { DrError, hasCode } from "../../errors.ts";
import type { ObjectStore, ObjectStoreReader } from "../../ports/object-store.ts";
import { NumberedLog } from "../numbered-log.ts";
import { claimRecord, ignoreUnreadable, type ReportUnreadable, readRecord } from "../record.ts";

/**
 * Reads all epochs. One that cannot be read is told and left out as long as a later one stands. Throws OBJECT_CORRUPT when it is the newest:
 * what it said decides who is active, and what was true before it must not be believed in its place. What no operator signed says nothing,
 * and is stepped over.
 */
export async function readEpochs(
  control: ObjectStoreReader,
  reportUnreadable: ReportUnreadable = ignoreUnreadable,
): Promise<EpochRecord[]> {
  const listed: EpochRecord[] = [];
  const unreadable: number[] = [];
  let reached = 0;
  const numbers = await listedNumbers(control);
  for (let at = 0; at < numbers.length; at += readAtOnce) {
    const few = numbers.slice(at, at + readAtOnce);
    if ((few[0] ?? 0) > reached + mostMissing) break;
    const read = await Promise.all(few.map((number) => readListed(control, number)));
    for (const [index, number] of few.entries()) {
      const found = read[index];
      // The one before it says how far it may be.
      if (found === undefined || number > reached + mostMissing) continue;
      if (found === "not believed") {
        reportUnreadable(controlLayout.epoch(number));
        continue;
      }
      reached = number;
      if (found === "unreadable") unreadable.push(number);
      else listed.push(found);
    }
  }
  // A listing that came back short must not bring a deposed region back: what follows the newest is asked for by name.
  const known = newestEpoch(listed);
  const records = known === undefined ? listed : [...listed, ...(await epochsAfter(control, known.epoch))];
  const newest = newestEpoch(records)?.epoch ?? 0;
  for (const number of unreadable) {
    if (number > newest) await readRecord(control, controlLayout.epoch(number), epochRecordSchema);
    reportUnreadable(controlLayout.epoch(number));
  }
  return records;
}

/** The numbers of epochs that are listed, the least first. Of more than there may be, the greatest are left out: who makes them has no say. */
async function listedNumbers(control: ObjectStoreReader): Promise<number[]> {
  const numbers: number[] = [];
  for await (const { key } of control.list(controlLayout.epochs)) {
    const parsed = parseControlKey(key);
    if (parsed?.kind === "epoch") numbers.push(parsed.epoch);
    // Stores list by name, which has the order of the numbers.
    if (numbers.length === mostEpochs) break;
  }
  return numbers.sort((a, b) => a - b);
}

/** What does not stand under its own number says nothing. */
async function readListed(
  control: ObjectStoreReader,
  number: number,
): Promise<EpochRecord | "unreadable" | "not believed" | undefined> {
  try {
    const record = await readRecord(control, controlLayout.epoch(number), epochRecordSchema);
    return record.epoch === number ? record : undefined;
  } catch (error) {
    if (hasCode(error, "OBJECT_CORRUPT")) return "unreadable";
    if (!hasCode(error, "NOT_AUTHENTIC", "OBJECT_NOT_FOUND")) throw error;
    return "not believed";
  }
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
  const log = new NumberedLog(control, controlLayout.epoch, epochRecordSchema);
  for (let next = await log.from(epoch + 1); next !== undefined; next = await log.from(next.number + 1)) {
    // Throws OBJECT_CORRUPT where there is one that cannot be read.
    const record = next.record ?? (await log.read(next.number));
    // A record that does not stand under its own number says nothing.
    if (record?.epoch !== next.number) break;
    records.push(record);
    if (records.length > mostEpochs) {
      throw new DrError("STORE_REFUSED", `more than ${mostEpochs} epochs follow epoch ${epoch}`, {
        hint: "no estate changes its roles so often: see in the store's access log who made them",
      });
    }
  }
  return records;
}

/** So many epochs in a row may be missing in a store that was not told of them. */
const mostMissing = 32;
const readAtOnce = 16;
/** Ten changes of roles a day for almost three years. */
const mostEpochs = 10_000;

/** The record that stands under this epoch afterwards: ours, or the one of whoever was first. */
export function claimEpoch(control: ObjectStore, record: EpochRecord): Promise<EpochRecord> {
  return claimRecord(control, controlLayout.epoch(record.epoch), epochRecordSchema, record);
}
