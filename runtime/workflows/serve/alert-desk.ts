/** Turns what is found into alerts, each told once until it is over: also after a restart, and when several processes find the same. */
import { type Alert, alertsOf, type Finding, isKnown, openAfter, type Subject } from "../../domain/alerts/alert.ts";
import type { AlertReceiver } from "../../ports/alert-receiver.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Progress } from "../../ports/progress.ts";
import type { AlertRecords } from "../../repository/control/alert-records.ts";
import { Courier, newsForMs } from "./courier.ts";

/** Another process that is not known to be gone tells its alerts itself, within this time. */
const othersTellWithinMs = 15 * 60_000;

interface Told {
  readonly alert: Alert;
  /** Undefined until the store has it. */
  number: number | undefined;
  /** Receivers that took it, and of which the store does not know it yet. */
  readonly takenBy: Set<string>;
}

export interface AlertDeskRequest {
  readonly region: string;
  readonly records: AlertRecords;
  readonly receivers: readonly AlertReceiver[];
  readonly clock: Clock;
  readonly progress: Progress;
}

export class AlertDesk {
  readonly #request: AlertDeskRequest;
  readonly #couriers: readonly Courier[];
  readonly #told: Told[] = [];
  #open: ReadonlySet<Subject> = new Set();
  #isStarted = false;

  constructor(request: AlertDeskRequest) {
    const { clock, progress, receivers } = request;
    this.#request = request;
    this.#couriers = receivers.map((receiver) => new Courier(receiver, clock, progress));
  }

  /** Brings the receivers what they are to be told, until it is stopped. */
  async run(stopped: AbortSignal): Promise<void> {
    await Promise.all(this.#couriers.map((courier) => courier.run(stopped)));
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
    await this.#writeTaken();
  }

  hasNews(findings: readonly Finding[]): boolean {
    return this.#newsIn(findings).length > 0;
  }

  /** Tells what is news while the store does not answer. */
  tellWithoutStore(findings: readonly Finding[]): void {
    for (const alert of this.#newsIn(findings)) this.#tell(alert, undefined);
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
      throw error;
    }
  }

  #tell(alert: Alert, number: number | undefined): void {
    this.#open = openAfter(this.#open, alert);
    const told: Told = { alert, number, takenBy: new Set() };
    this.#told.push(told);
    for (const courier of this.#couriers) courier.send({ alert, taken: () => this.#taken(told, courier.name) });
  }

  /** Begins with what the store knows, and writes what was told while it did not answer. */
  async #synchronise(): Promise<void> {
    const { records } = this.#request;
    let open = await records.open();
    for (const told of this.#told) {
      if (told.number !== undefined) continue;
      // Another process told the same.
      if (isKnown(open, told.alert) && !records.isNewest(told.alert)) continue;
      told.number = await records.add(told.alert, openAfter(open, told.alert));
      open = await records.open();
    }
    this.#open = open;
    if (this.#isStarted) return;
    await this.#tellWhatOthersLeft();
    this.#isStarted = true;
  }

  /** Whoever told it may be gone before every receiver took it. */
  async #tellWhatOthersLeft(): Promise<void> {
    const { clock, records } = this.#request;
    const now = clock.now().getTime();
    for (const { alert, isLeftBehind, number } of await records.ofOthersSince(new Date(now - newsForMs))) {
      const told: Told = { alert, number, takenBy: new Set() };
      this.#told.push(told);
      const waitMs = isLeftBehind ? 0 : othersTellWithinMs - Math.max(0, now - Date.parse(alert.at));
      for (const courier of this.#couriers) {
        const { name } = courier;
        const isTaken = () => records.isTaken(number, name);
        if (await isTaken()) continue;
        courier.send({ alert, otherFirst: { waitMs, isTaken }, taken: () => this.#taken(told, name) });
      }
    }
  }

  /** Written at once: who is killed right after this tells it to nobody again. What the store does not take is written later. */
  async #taken(told: Told, receiver: string): Promise<void> {
    told.takenBy.add(receiver);
    await this.#writeTakenOf(told).catch(() => undefined);
  }

  async #writeTaken(): Promise<void> {
    for (const told of this.#told) await this.#writeTakenOf(told);
  }

  async #writeTakenOf({ number, takenBy }: Told): Promise<void> {
    const { clock, records } = this.#request;
    for (const receiver of number === undefined ? [] : takenBy) {
      await records.take(number ?? 0, receiver, clock.now());
      takenBy.delete(receiver);
    }
  }
}
