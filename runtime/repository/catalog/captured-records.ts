/**
 * What the half of replication that captures tells the half that applies, in the standby's control store: a chain of
 * create-only records for every epoch, numbered without a gap, so that the next one is asked for by its name.
 */
import { z } from "zod";
import { controlLayout } from "../../domain/recovery-points/store-layout.ts";
import { DrError } from "../../errors.ts";
import type { ObjectStore, ObjectStoreReader } from "../../ports/object-store.ts";
import { createRecord, readOptionalRecord, unlessUnreadable } from "../record.ts";

const time = z.iso.datetime();

export const capturedRecordSchema = z.object({
  format: z.literal(1),
  /** Who captured it. */
  run: z.string(),
  at: time,
  /** The recovery point that is in the bucket. */
  recoveryPoint: z.string(),
  /** Everything that the source acknowledged before this is in it. */
  asOf: time,
  /** When its capture began; `asOf` in records of before. */
  followedAt: time.optional(),
  fullAt: time,
  isChanged: z.boolean(),
  readBytes: z.number().int().nonnegative(),
  storedBytes: z.number().int().nonnegative(),
  seconds: z.number().nonnegative(),
});
export type CapturedRecord = z.infer<typeof capturedRecordSchema>;

/** What stands at a place of the chain; nothing is known of a record that cannot be read but that it is there. */
type Link = { readonly record: CapturedRecord } | "unreadable" | undefined;

/** The place in the chain of one who writes to it, or reads along. */
export class CapturedChain {
  readonly #control: ObjectStoreReader;
  readonly #epoch: number;
  #known = 0;

  private constructor(control: ObjectStoreReader, epoch: number) {
    this.#control = control;
    this.#epoch = epoch;
  }

  /** From its newest record on, which is found in some dozen requests however long it is. */
  static async open(control: ObjectStoreReader, epoch: number): Promise<CapturedChain> {
    const chain = new CapturedChain(control, epoch);
    const isThere = async (number: number) => (await chain.#read(number)) !== undefined;
    let beyond = 1;
    while (await isThere(beyond)) {
      chain.#known = beyond;
      beyond *= 2;
    }
    while (beyond - chain.#known > 1) {
      const middle = Math.floor((chain.#known + beyond) / 2);
      if (await isThere(middle)) chain.#known = middle;
      else beyond = middle;
    }
    return chain;
  }

  /** The newest of all that can be read; undefined while there is none. */
  async newest(): Promise<CapturedRecord | undefined> {
    for (let number = this.#known; number > 0; number -= 1) {
      const link = await this.#read(number);
      if (link !== undefined && link !== "unreadable") return link.record;
    }
    return undefined;
  }

  /** The newest that was told since it was asked for last; undefined when there is none. */
  async newer(): Promise<CapturedRecord | undefined> {
    let newest: CapturedRecord | undefined;
    for (let next = await this.#read(this.#known + 1); next !== undefined; next = await this.#read(this.#known + 1)) {
      if (next !== "unreadable") newest = next.record;
      this.#known += 1;
    }
    return newest;
  }

  /** Throws EPOCH_CONFLICT when another run has told something since. */
  async tell(control: ObjectStore, record: CapturedRecord): Promise<void> {
    for (;;) {
      const number = this.#known + 1;
      await createRecord(control, controlLayout.standbyCapture(this.#epoch, number), capturedRecordSchema, record);
      const link = await this.#read(number);
      const told = link === "unreadable" ? undefined : link?.record;
      if (link !== "unreadable" && told?.run !== record.run) {
        throw new DrError("EPOCH_CONFLICT", `another run (${told?.run ?? "unknown"}) captures for the standby`, {
          hint: "let one run capture for a standby; stop the others",
        });
      }
      this.#known = number;
      // An earlier record of this run, whose answer was lost, may have taken the place, or one that nobody can read.
      if (told?.at === record.at) return;
    }
  }

  async #read(number: number): Promise<Link> {
    const key = controlLayout.standbyCapture(this.#epoch, number);
    let isUnreadable = false;
    const reading = readOptionalRecord(this.#control, key, capturedRecordSchema);
    const record = await unlessUnreadable(key, reading, () => {
      isUnreadable = true;
    });
    if (isUnreadable) return "unreadable";
    return record === undefined ? undefined : { record };
  }
}
