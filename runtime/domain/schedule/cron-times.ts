import { Cron } from "croner";

const minuteMs = 60_000;

/** The times that a cron expression names, in UTC. */
export class CronTimes {
  readonly #cron: Cron;
  /** Looking one up takes a search: what was found holds until the next time comes. */
  #found: { readonly newest: Date | undefined; readonly from: Date; readonly next: Date | undefined } | undefined;

  /** @param expression one that `cronSchema` takes. */
  constructor(expression: string) {
    this.#cron = new Cron(expression, { mode: "5-part", timezone: "UTC", paused: true });
  }

  /** The newest one that is not after `now`. */
  newest(now: Date): Date | undefined {
    const found = this.#found;
    if (found !== undefined && found.from <= now && (found.next === undefined || now < found.next)) return found.newest;
    // Times are whole minutes, and croner answers with what is before.
    const minute = Math.floor(now.getTime() / minuteMs) * minuteMs;
    const newest = this.#cron.previousRuns(1, new Date(minute + 1_000))[0];
    this.#found = { newest, from: newest ?? now, next: this.next(now) };
    return newest;
  }

  /** The first one after `time`. */
  next(time: Date): Date | undefined {
    return this.#cron.nextRun(time) ?? undefined;
  }

  /** How many are after `from` and before `to`; at most `most`. */
  countBetween(from: Date, to: Date, most: number): number {
    let count = 0;
    for (let time = this.next(from); time !== undefined && time < to && count < most; time = this.next(time))
      count += 1;
    return count;
  }
}
