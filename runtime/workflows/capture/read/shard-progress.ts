import type { Clock } from "../../../ports/clock.ts";
import type { Progress } from "../../../ports/progress.ts";

const reportsEveryMs = 500;

/** Reports how far the reading of shards is, twice a second at most. */
export class ShardProgress {
  readonly #clock: Clock;
  readonly #progress: Progress;
  readonly #total: number;
  readonly #begun: number;
  #bytes = 0;
  #done = 0;
  #reportedAt = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock, progress: Progress, total: number) {
    this.#clock = clock;
    this.#progress = progress;
    this.#total = total;
    this.#begun = clock.monotonic();
  }

  read(detail: string, bytes: number): void {
    this.#bytes += bytes;
    this.#report(detail, false);
  }

  done(detail: string): void {
    this.#done += 1;
    this.#report(detail, this.#done === this.#total);
  }

  #report(detail: string, isLast: boolean): void {
    const now = this.#clock.monotonic();
    if (!isLast && now - this.#reportedAt < reportsEveryMs) return;
    this.#reportedAt = now;
    const seconds = (now - this.#begun) / 1000;
    this.#progress({
      step: "capture",
      detail,
      amount: { bytes: this.#bytes, done: this.#done, total: this.#total, unit: "shards", seconds },
    });
  }
}
