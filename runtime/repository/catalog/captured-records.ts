/**
 * What the half of replication that captures tells the half that applies, in the standby's control store: a chain of
 * create-only records for every epoch, numbered without a gap, so that the next one is asked for by its name.
 */
import { z } from "zod";
import { controlLayout } from "../../domain/recovery-points/store-layout.ts";
import { DrError } from "../../errors.ts";
import type { ObjectStore, ObjectStoreReader } from "../../ports/object-store.ts";
import { type LogEntry, NumberedLog } from "../numbered-log.ts";

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

/** The place in the chain of a process that writes to it, or reads along. */
export class CapturedChain {
  readonly #log: NumberedLog<CapturedRecord>;
  #known: LogEntry<CapturedRecord> | undefined;

  private constructor(log: NumberedLog<CapturedRecord>, known: LogEntry<CapturedRecord> | undefined) {
    this.#log = log;
    this.#known = known;
  }

  /** Opens the chain of an epoch at its newest record. */
  static async open(control: ObjectStoreReader, epoch: number): Promise<CapturedChain> {
    const keyOf = (number: number) => controlLayout.standbyCapture(epoch, number);
    const log = new NumberedLog(control, keyOf, capturedRecordSchema);
    return new CapturedChain(log, await log.newest());
  }

  /** The newest of all that can be read; undefined while there is none. */
  async newest(): Promise<CapturedRecord | undefined> {
    for (let number = this.#next - 1; number > 0; number -= 1) {
      const entry = await this.#log.entry(number);
      if (entry?.record !== undefined) return entry.record;
    }
    return undefined;
  }

  /** The newest that was published since the last call; undefined when there is none. */
  async newer(): Promise<CapturedRecord | undefined> {
    let newest: CapturedRecord | undefined;
    for (let next = await this.#log.entry(this.#next); next !== undefined; next = await this.#log.entry(this.#next)) {
      newest = next.record ?? newest;
      this.#known = next;
    }
    return newest;
  }

  /** Throws EPOCH_CONFLICT when another run has published something since. */
  async publish(control: ObjectStore, record: CapturedRecord): Promise<void> {
    for (;;) {
      await this.#log.create(control, this.#next, record);
      const entry = await this.#log.entry(this.#next);
      const published = entry?.record;
      if (entry === undefined || (published !== undefined && published.run !== record.run)) {
        throw new DrError("EPOCH_CONFLICT", `another run (${published?.run ?? "unknown"}) captures for the standby`, {
          hint: "let one run capture for a standby; stop the others",
        });
      }
      this.#known = entry;
      // An earlier record of this run, whose answer was lost, may have taken the place, or one that nobody can read.
      if (published?.at === record.at) return;
    }
  }

  get #next(): number {
    return this.#known === undefined ? 1 : this.#known.number + 1;
  }
}
