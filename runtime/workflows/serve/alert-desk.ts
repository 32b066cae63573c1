/** Turns what is found into alerts, each told once until it is over: also after a restart, and when several processes find the same. */
import { z } from "zod";
import {
  type Alert,
  alertSchema,
  alertsOf,
  type Finding,
  isKnown,
  openAfter,
  type Subject,
} from "../../domain/alerts/alert.ts";
import type { AlertReceiver } from "../../ports/alert-receiver.ts";
import type { Clock } from "../../ports/clock.ts";
import type { LocalNote } from "../../ports/local-note.ts";
import type { Progress } from "../../ports/progress.ts";
import type { AlertOfOther, AlertRecords } from "../../repository/control/alert-records.ts";
import { Courier, newsForMs } from "./courier.ts";

/** Another process that is not known to be gone tells its alerts itself, within this time. */
const othersTellWithinMs = 15 * 60_000;

/** In the place of a number: another process has written the same. */
const notMine = 0;

const noteSchema = z.array(z.object({ alert: alertSchema, takenBy: z.array(z.string()) }));

interface Told {
  readonly alert: Alert;
  /** Undefined until the store has it. */
  number: number | undefined;
  readonly takenBy: Set<string>;
  /** Those of `takenBy` that the store knows. */
  readonly written: Set<string>;
}

export interface AlertDeskRequest {
  readonly region: string;
  readonly records: AlertRecords;
  readonly receivers: readonly AlertReceiver[];
  /** Keeps what was told while the store did not answer. */
  readonly note: LocalNote;
  readonly clock: Clock;
  readonly progress: Progress;
}

export class AlertDesk {
  readonly #request: AlertDeskRequest;
  readonly #couriers: readonly Courier[];
  readonly #told: Told[] = [];
  readonly #ofOthers: (AlertOfOther & { readonly seenAt: number })[] = [];
  #open: ReadonlySet<Subject> = new Set();
  #isNoteRead = false;

  constructor(request: AlertDeskRequest) {
    const { clock, progress, receivers } = request;
    this.#request = request;
    this.#couriers = receivers.map((receiver) => new Courier(receiver, clock, progress));
  }

  /** Brings the receivers what they are to be told, until it is stopped. */
  async run(stopped: AbortSignal): Promise<void> {
    await Promise.all(this.#couriers.map((courier) => courier.run(stopped)));
  }

  hasNews(findings: readonly Finding[]): boolean {
    return this.#newsIn(findings).length > 0;
  }

  /** Tells what is news, and leaves it in the store. Throws what the store throws; then it is told all the same, and written later. */
  async settle(findings: readonly Finding[]): Promise<void> {
    await this.#synchronise();
    for (const alert of this.#newsIn(findings)) {
      const number = await this.#write(alert);
      // Another process told something meanwhile: the next look begins with that.
      if (number === undefined) return;
      this.#tell(alert, number);
    }
    for (const told of this.#told) await this.#writeTaken(told);
  }

  /** Tells what is news while the store does not answer. */
  async tellWithoutStore(findings: readonly Finding[]): Promise<void> {
    if (!this.hasNews(findings)) return;
    await this.#readNote();
    for (const alert of this.#newsIn(findings)) this.#tell(alert, undefined);
    await this.#writeNote();
  }

  #newsIn(findings: readonly Finding[]): Alert[] {
    const { clock, region } = this.#request;
    return alertsOf(findings, this.#open, { region, at: clock.now() });
  }

  async #write(alert: Alert): Promise<number | undefined> {
    try {
      return await this.#request.records.add(alert, openAfter(this.#open, alert));
    } catch (error) {
      this.#tell(alert, undefined);
      await this.#writeNote();
      throw error;
    }
  }

  #tell(alert: Alert, number: number | undefined): void {
    const told = this.#add(alert, number);
    for (const courier of this.#couriers) courier.send({ alert, taken: () => this.#taken(told, courier.name) });
  }

  #add(alert: Alert, number: number | undefined): Told {
    const told: Told = { alert, number, takenBy: new Set(), written: new Set() };
    this.#told.push(told);
    this.#open = openAfter(this.#open, alert);
    return told;
  }

  /** Begins with what the store knows, and writes what was told while it did not answer. */
  async #synchronise(): Promise<void> {
    const { records } = this.#request;
    if (!this.#isNoteRead) await this.#readNote();
    let open = await records.open();
    const waiting = this.#told.filter(({ number }) => number === undefined);
    for (const told of waiting) {
      told.number = await this.#numberOf(told.alert, open);
      open = await records.open();
    }
    this.#open = open;
    // Before what others left is looked for: who told it may be gone, and it would be told again.
    for (const told of waiting) await this.#writeTaken(told);
    if (waiting.length > 0) await this.#writeNote();
    await this.#tellWhatOthersLeft();
  }

  /** Writes the alert, unless it is there: its answer was lost, or another process told the same. */
  async #numberOf(alert: Alert, open: ReadonlySet<Subject>): Promise<Told["number"]> {
    const { records } = this.#request;
    const found = await records.find(alert);
    if (typeof found === "number") return found;
    if (found === "over" || isKnown(open, alert)) return notMine;
    return records.add(alert, openAfter(open, alert));
  }

  /** Whoever told it may be gone before every receiver took it. */
  async #tellWhatOthersLeft(): Promise<void> {
    const { clock, records } = this.#request;
    const since = new Date(clock.now().getTime() - newsForMs);
    for (const alert of await records.newOfOthers(since)) this.#ofOthers.push({ ...alert, seenAt: clock.monotonic() });
    for (const other of [...this.#ofOthers]) {
      const { alert, isLeftBehind, number, seenAt } = other;
      if (!isLeftBehind() && clock.monotonic() - seenAt < othersTellWithinMs) continue;
      const told: Told = { alert, number, takenBy: new Set(), written: new Set() };
      for (const courier of this.#couriers) {
        if (await records.isTaken(number, courier.name)) continue;
        courier.send({ alert, taken: () => this.#taken(told, courier.name) });
      }
      this.#told.push(told);
      this.#ofOthers.splice(this.#ofOthers.indexOf(other), 1);
    }
  }

  /** Written at once: who is killed right after this tells it to nobody again. What the store does not take is written later. */
  async #taken(told: Told, receiver: string): Promise<void> {
    told.takenBy.add(receiver);
    if (told.number === undefined) await this.#writeNote();
    else await this.#writeTaken(told).catch(() => undefined);
  }

  async #writeTaken({ number, takenBy, written }: Told): Promise<void> {
    const { clock, records } = this.#request;
    if (number === undefined || number === notMine) return;
    for (const receiver of takenBy) {
      if (written.has(receiver)) continue;
      await records.take(number, receiver, clock.now());
      written.add(receiver);
    }
  }

  /** What a process before this one, or another one of this machine, told while the store did not answer. */
  async #readNote(): Promise<void> {
    const text = await this.#request.note.read();
    this.#isNoteRead = true;
    if (text === undefined) return;
    let noted: z.infer<typeof noteSchema>;
    try {
      noted = noteSchema.parse(JSON.parse(text));
    } catch {
      return;
    }
    for (const { alert, takenBy } of noted) {
      if (this.#told.some((told) => told.alert.at === alert.at && told.alert.subject === alert.subject)) continue;
      const told = this.#add(alert, undefined);
      for (const receiver of takenBy) told.takenBy.add(receiver);
      for (const courier of this.#couriers) {
        const { name } = courier;
        if (!told.takenBy.has(name)) courier.send({ alert, taken: () => this.#taken(told, name) });
      }
    }
  }

  async #writeNote(): Promise<void> {
    const waiting = this.#told.filter(({ number }) => number === undefined);
    const noted = waiting.map(({ alert, takenBy }) => ({ alert, takenBy: [...takenBy] }));
    await this.#request.note.write(noted.length === 0 ? undefined : JSON.stringify(noted));
  }
}
