/** Brings one receiver what it is to be told, in order, with patience: one that is down holds up nobody else. */
import type { Alert } from "../../domain/alerts/alert.ts";
import { toDrError } from "../../errors.ts";
import type { AlertReceiver } from "../../ports/alert-receiver.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Progress } from "../../ports/progress.ts";
import { retry } from "../../time/retry.ts";

/** An alert that a receiver did not take for so long is not news any more. */
export const newsForMs = 7 * 24 * 3_600_000;
const firstDelayMs = 10_000;
const longestDelayMs = 10 * 60_000;

export interface Errand {
  readonly alert: Alert;
  readonly taken: () => Promise<void>;
}

export class Courier {
  readonly #receiver: AlertReceiver;
  readonly #clock: Clock;
  readonly #progress: Progress;
  readonly #errands: Errand[] = [];
  #wake: () => void = () => undefined;

  constructor(receiver: AlertReceiver, clock: Clock, progress: Progress) {
    this.#receiver = receiver;
    this.#clock = clock;
    this.#progress = progress;
  }

  get name(): string {
    return this.#receiver.name;
  }

  send(errand: Errand): void {
    this.#errands.push(errand);
    this.#wake();
  }

  /** Until it is stopped; what was not taken then is told by who is started next. */
  async run(stopped: AbortSignal): Promise<void> {
    stopped.addEventListener("abort", () => this.#wake());
    while (!stopped.aborted) {
      const errand = this.#errands.shift();
      if (errand === undefined) await new Promise<void>((resolve) => (this.#wake = resolve));
      else await this.#deliver(errand, stopped);
    }
  }

  async #deliver({ alert, taken }: Errand, stopped: AbortSignal): Promise<void> {
    let told: string | undefined;
    const isStale = () => this.#clock.now().getTime() - Date.parse(alert.at) > newsForMs;
    try {
      const patience = { budgetMs: newsForMs, firstDelayMs, factor: 3, longestDelayMs, jitter: 0.2, signal: stopped };
      await retry(this.#clock, { ...patience, isRetryable: () => !isStale() }, async () => {
        try {
          await this.#receiver.tell(alert, stopped);
        } catch (error) {
          const { message } = toDrError(error);
          if (message !== told && !stopped.aborted) this.#say(`${message}; it is tried again`);
          told = message;
          throw error;
        }
      });
      await taken();
    } catch {
      // Its failure was said; it is given up when it is stopped, or after a week.
      if (!stopped.aborted) this.#say(`did not take it for a week: ${alert.title}`);
    }
  }

  #say(detail: string): void {
    this.#progress({ step: "alert", detail: `${this.#receiver.name}: ${detail}` });
  }
}
