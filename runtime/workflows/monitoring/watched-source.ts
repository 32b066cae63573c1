import type { SourceState } from "../../domain/monitoring/metrics.ts";
import type { Clock } from "../../ports/clock.ts";
import { ask } from "../status/observed-region.ts";

/** One thing that is asked again and again, by a clock of its own, however long the others take. */
export class WatchedSource<T> {
  readonly #what: string;
  readonly #ms: number;
  readonly #clock: Clock;
  readonly #question: () => Promise<T>;
  /** An answer that came too late is still on its way: nothing is asked on top of it. */
  #underWay = false;
  #value: T | undefined;
  #state: SourceState | undefined;
  #problem: string | undefined;

  constructor(what: string, { clock, ms }: { readonly clock: Clock; readonly ms: number }, question: () => Promise<T>) {
    this.#what = what;
    this.#ms = ms;
    this.#clock = clock;
    this.#question = question;
  }

  /** Undefined before the first answer. */
  get state(): SourceState | undefined {
    return this.#state;
  }

  /** The newest answer. */
  get value(): T | undefined {
    return this.#value;
  }

  /** The newest answer, as long as the source answers. */
  get valueNow(): T | undefined {
    return this.#state?.isUp ? this.#value : undefined;
  }

  /** Asks once, and never throws. Answers what is new about it: a problem that was not there before, or that it has passed. */
  async look(): Promise<string | undefined> {
    const begun = this.#clock.monotonic();
    const answer = this.#underWay
      ? { problem: `${this.#what} has not answered the question before`, error: undefined }
      : await ask(this.#ms, this.#what, () => this.#asked());
    const seconds = (this.#clock.monotonic() - begun) / 1000;
    if ("problem" in answer) {
      const { answeredAt } = this.#state ?? {};
      this.#state = { isUp: false, seconds, ...(answeredAt === undefined ? {} : { answeredAt }) };
      return this.#news(answer.problem);
    }
    this.#value = answer.value;
    this.#state = { isUp: true, seconds, answeredAt: this.#clock.now() };
    return this.#news(undefined);
  }

  async #asked(): Promise<T> {
    this.#underWay = true;
    try {
      return await this.#question();
    } finally {
      this.#underWay = false;
    }
  }

  #news(problem: string | undefined): string | undefined {
    const before = this.#problem;
    this.#problem = problem;
    if (problem === before) return undefined;
    return problem ?? `${this.#what} answers again`;
  }
}
