import type { Clock } from "../../ports/clock.ts";

/** A question whose answer serves everyone who asks while it is about to be asked: a thousand askers cost few requests. */
export class SharedAnswer<Answer> {
  readonly #ask: () => Promise<Answer>;
  readonly #clock: Clock;
  #underWay: Promise<unknown> = Promise.resolve();
  #next: Promise<Answer> | undefined;
  #last: { readonly askedAt: number; readonly answer: Answer } | undefined;

  constructor(ask: () => Promise<Answer>, clock: Clock) {
    this.#ask = ask;
    this.#clock = clock;
  }

  /** An answer to a request that is sent after this call. */
  fresh(): Promise<Answer> {
    this.#next ??= this.#askNext();
    return this.#next;
  }

  /** The last answer, when it was asked for within `ageMs`; a fresh one otherwise. */
  async recent(ageMs: number): Promise<Answer> {
    if (this.#last !== undefined && this.#clock.monotonic() - this.#last.askedAt <= ageMs) return this.#last.answer;
    return this.fresh();
  }

  async #askNext(): Promise<Answer> {
    await this.#underWay.catch(() => undefined);
    this.#next = undefined;
    const askedAt = this.#clock.monotonic();
    const asking = this.#ask();
    this.#underWay = asking;
    const answer = await asking;
    this.#last = { askedAt, answer };
    return answer;
  }
}
