import type { Clock } from "../../../runtime/ports/clock.ts";

interface Sleeper {
  readonly wakeAt: number;
  readonly wake: () => void;
}

/**
 * A clock whose time passes when a test says so. A sleeper whom nobody wakes is not a hang: its sleep fails after `unattendedMs`
 * of real time.
 */
export class SimulatedClock implements Clock {
  readonly #unattendedMs: number;
  #timeOfDay: number;
  #monotonic = 0;
  #sleepers: Sleeper[] = [];

  constructor({ start = new Date("2026-01-01T00:00:00.000Z"), unattendedMs = 5_000 } = {}) {
    this.#timeOfDay = start.getTime();
    this.#unattendedMs = unattendedMs;
  }

  now(): Date {
    return new Date(this.#timeOfDay);
  }

  monotonic(): number {
    return this.#monotonic;
  }

  /** How many sleep now. */
  get sleepers(): number {
    return this.#sleepers.length;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (settle: () => void) => {
        this.#sleepers = this.#sleepers.filter((other) => other !== sleeper);
        signal?.removeEventListener("abort", cancel);
        clearTimeout(watchdog);
        settle();
      };
      const cancel = () => end(() => reject(signal?.reason));
      // Whole milliseconds: sums of others are rounded, and a sleeper would be a hair away for ever.
      const sleeper: Sleeper = { wakeAt: this.#monotonic + Math.ceil(Math.max(0, ms)), wake: () => end(resolve) };
      const watchdog = setTimeout(() => {
        const waited = `nobody advanced the clock for ${this.#unattendedMs} ms`;
        end(() => reject(new Error(`a sleep of ${ms} ms of a simulated clock does not end: ${waited}`)));
      }, this.#unattendedMs);
      this.#sleepers.push(sleeper);
      signal?.addEventListener("abort", cancel);
      if (signal?.aborted) cancel();
    });
  }

  /** Lets time pass, and wakes the sleepers in their order; what they do next, also another sleep, comes before later ones. */
  async advance(ms: number): Promise<void> {
    const end = this.#monotonic + ms;
    await settled();
    for (let next = this.#next(); next !== undefined && next.wakeAt <= end; next = this.#next()) {
      this.#pass(next.wakeAt - this.#monotonic);
      next.wake();
      await settled();
    }
    this.#pass(end - this.#monotonic);
  }

  /** Lets as much time pass as `outcome` needs, and returns it. */
  async run<T>(outcome: Promise<T>): Promise<T> {
    let isSettled = false;
    const watched = outcome.finally(() => {
      isSettled = true;
    });
    watched.catch(() => undefined);
    await settled();
    while (!isSettled) {
      const next = this.#next();
      if (next !== undefined) await this.advance(next.wakeAt - this.#monotonic);
      else await settled();
    }
    return watched;
  }

  /** Sets the time of day, as an operator or NTP does; what is monotonic goes on. */
  setTimeOfDay(time: Date): void {
    this.#timeOfDay = time.getTime();
  }

  #pass(ms: number): void {
    this.#monotonic += ms;
    this.#timeOfDay += ms;
  }

  #next(): Sleeper | undefined {
    return this.#sleepers.reduce<Sleeper | undefined>(
      (first, each) => (first === undefined || each.wakeAt < first.wakeAt ? each : first),
      undefined,
    );
  }
}

/** Everything that can go on without time has gone on. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
