/**
 * What was told of each problem, in numbered create-only records: the memory by which a problem is told once, whatever is started again.
 * Each says which problems are open after it, so that the newest one is enough to know.
 */
import { z } from "zod";
import { type Alert, alertSchema, type Subject, subjects } from "../../domain/alerts/alert.ts";
import { controlLayout } from "../../domain/recovery-points/store-layout.ts";
import type { ObjectStore } from "../../ports/object-store.ts";
import { NumberedLog } from "../numbered-log.ts";
import { createRecord, type ReportUnreadable, readOptionalRecord, unlessUnreadable } from "../record.ts";
import type { ScheduleProcess } from "./schedule-records.ts";

/** So many of the newest ones are looked at for what was not taken yet. */
const mostLookedAt = 200;

export const alertRecordSchema = alertSchema.extend({
  /** The `serve` that tells it, and the mark of its process. */
  by: z.string(),
  runner: z.string().optional(),
  open: z.array(z.enum(subjects)),
});
type AlertRecord = z.infer<typeof alertRecordSchema>;

export const takenSchema = z.object({ at: z.iso.datetime() });

export interface AlertOfOther {
  readonly number: number;
  readonly alert: Alert;
  /** Whether the process that tells it is known to be gone. */
  readonly isLeftBehind: () => boolean;
}

export class AlertRecords {
  readonly #control: ObjectStore;
  readonly #process: ScheduleProcess;
  readonly #log: NumberedLog<AlertRecord>;
  readonly #reportUnreadable: ReportUnreadable;
  #asked = 0;
  #newest: { readonly number: number; readonly record: AlertRecord | undefined } | undefined;

  constructor(control: ObjectStore, process: ScheduleProcess, reportUnreadable: ReportUnreadable) {
    this.#control = control;
    this.#process = process;
    this.#log = new NumberedLog(control, controlLayout.alert, alertRecordSchema);
    this.#reportUnreadable = reportUnreadable;
  }

  /** The problems that are open by the newest record that can be read. */
  async open(): Promise<ReadonlySet<Subject>> {
    this.#newest = await this.#log.newest(this.#newest);
    for (let entry = this.#newest; entry !== undefined; entry = await this.#log.before(entry.number)) {
      if (entry.record !== undefined) return new Set(entry.record.open);
      this.#reportUnreadable(controlLayout.alert(entry.number));
    }
    return new Set();
  }

  #isNewest(alert: Alert): boolean {
    const { record } = this.#newest ?? {};
    return record?.by === this.#process.id && record.at === alert.at && record.subject === alert.subject;
  }

  /** Where the alert is: its number, "over" when something later was told of its subject, undefined when it is not there. */
  async find({ at, subject }: Alert): Promise<number | "over" | undefined> {
    let entry = this.#newest;
    for (let looked = 0; entry !== undefined && looked < mostLookedAt; looked += 1) {
      const { number, record } = entry;
      if (record?.subject === subject) {
        if (record.at === at) return number;
        return Date.parse(record.at) > Date.parse(at) ? "over" : undefined;
      }
      entry = await this.#log.before(number);
    }
    return undefined;
  }

  /** The number of the alert; undefined when another process told something since `open` was asked. */
  async add(alert: Alert, open: ReadonlySet<Subject>): Promise<number | undefined> {
    const number = await this.#log.free((this.#newest?.number ?? 0) + 1);
    const { id, runner } = this.#process;
    await this.#log.create(this.#control, number, {
      ...alert,
      by: id,
      ...(runner.mark === undefined ? {} : { runner: runner.mark }),
      open: [...open],
    });
    this.#newest = await this.#log.entry(number);
    return this.#isNewest(alert) ? number : undefined;
  }

  async take(number: number, receiver: string, at: Date): Promise<void> {
    await createRecord(this.#control, controlLayout.alertTaken(number, receiver), takenSchema, {
      at: at.toISOString(),
    });
  }

  async isTaken(number: number, receiver: string): Promise<boolean> {
    const key = controlLayout.alertTaken(number, receiver);
    const read = readOptionalRecord(this.#control, key, takenSchema, this.#reportUnreadable);
    return (await unlessUnreadable(key, read, this.#reportUnreadable)) !== undefined;
  }

  /** Alerts that other processes have to tell and that are not older than `since`, in their order: those that were not asked for yet. */
  async newOfOthers(since: Date): Promise<AlertOfOther[]> {
    const found: AlertOfOther[] = [];
    let entry = this.#newest;
    for (let looked = 0; entry !== undefined && entry.number > this.#asked && looked < mostLookedAt; looked += 1) {
      const { number, record } = entry;
      if (record !== undefined && Date.parse(record.at) < since.getTime()) break;
      if (record !== undefined && record.by !== this.#process.id) {
        const { by: _, open: __, runner, ...alert } = record;
        const isLeftBehind = () => runner !== undefined && this.#process.runner.isDead(runner);
        found.push({ number, alert, isLeftBehind });
      }
      entry = number === 1 ? undefined : await this.#log.entry(number - 1);
    }
    this.#asked = this.#newest?.number ?? 0;
    return found.reverse();
  }
}
