/**
 * Replicates again and again: the next state is captured while the last one is applied, just in time for its end. A source
 * that is busy is left alone for longer, within limits; what fails is tried again, ever more slowly.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { type DrError, hasCode, toDrError } from "../../errors.ts";

const longestPauseMs = 60_000;
const shortestPauseMs = 1_000;
/** A source that merges all that it holds takes long to capture, and what is written meanwhile must not wait for it twice. */
const longestRestMs = 1_000;

export interface FollowRequest<State, Report> {
  /** What it waits for may end when the signal says so. */
  capture(signal: AbortSignal): Promise<State>;
  apply(state: State): Promise<Report>;
  /** From the beginning of one capture to that of the next, as long as both ends keep up. */
  readonly everyMs: number;
  /**
   * What was captured from for so long is left alone for this many times as long, and for a second at most. One long capture
   * alone, as the first one and that of each day are, does not count.
   */
  readonly restsFor: number;
  /** What no waiting changes; the usual when left out. */
  isFinal?(error: DrError): boolean;
  /** What is under way is ended first. */
  readonly signal: AbortSignal;
  told(news: { readonly report: Report } | { readonly problem: string }): void;
}

/** The report of the last state that was applied. Throws what no waiting changes. */
export async function follow<State, Report>(request: FollowRequest<State, Report>): Promise<Report | undefined> {
  const { everyMs, restsFor, told } = request;
  const failed = new AbortController();
  const signal = AbortSignal.any([request.signal, failed.signal]);
  const waiting = new Waiting<State>(signal);
  let last: Report | undefined;

  const captureAgain = async () => {
    let before = 0;
    for (let failures = 0; !signal.aborted; ) {
      const begun = performance.now();
      failures = await attempt(failures, async () => waiting.hand(await request.capture(signal)));
      const took = performance.now() - begun;
      const paceMs = Math.max(
        everyMs - took,
        Math.min(longestRestMs, restsFor * Math.min(took, before)),
        waiting.remainingMs() - took,
      );
      before = took;
      await pause(failures === 0 ? paceMs : backOffMs(failures), signal);
    }
  };
  const applyAgain = async () => {
    for (let failures = 0; ; ) {
      const state = await waiting.next();
      if (state === undefined) return;
      failures = await attempt(failures, async () => {
        last = await waiting.timed(() => request.apply(state));
        told({ report: last });
      });
      if (failures === 0) continue;
      waiting.handBack(state);
      await pause(backOffMs(failures), signal);
    }
  };
  /** How often it has failed in a row. */
  const attempt = async (failures: number, act: () => Promise<void>) => {
    try {
      await act();
      return 0;
    } catch (error) {
      // What it waited for is of no interest any more.
      if (signal.aborted && error instanceof Error && error.name === "AbortError") return failures;
      const known = toDrError(error);
      if ((request.isFinal ?? isFinal)(known)) throw error;
      told({ problem: `${known.code}: ${known.message}; it is tried again` });
      return failures + 1;
    }
  };
  const backOffMs = (failures: number) =>
    Math.min(longestPauseMs, Math.max(shortestPauseMs, everyMs) * 2 ** (failures - 1));

  const ends = await Promise.allSettled(
    [captureAgain, applyAgain].map(async (half) => {
      try {
        await half();
      } finally {
        failed.abort();
      }
    }),
  );
  for (const end of ends) if (end.status === "rejected") throw end.reason;
  return last;
}

/** The newest state that waits to be applied, and how long applying takes. */
class Waiting<State> {
  readonly #signal: AbortSignal;
  #waiting: { readonly state: State } | undefined;
  #wake: () => void = () => undefined;
  #begunAt: number | undefined;
  #lastMs = 0;

  constructor(signal: AbortSignal) {
    this.#signal = signal;
    signal.addEventListener("abort", () => this.#wake());
  }

  /** In the place of an older one that was not begun with. */
  hand(state: State): void {
    this.#waiting = { state };
    this.#wake();
  }

  /** For another try, unless there is a newer one. */
  handBack(state: State): void {
    this.#waiting ??= { state };
  }

  /** Undefined in the end. */
  async next(): Promise<State | undefined> {
    while (this.#waiting === undefined && !this.#signal.aborted) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const next = this.#signal.aborted ? undefined : this.#waiting;
    this.#waiting = undefined;
    return next?.state;
  }

  async timed<T>(apply: () => Promise<T>): Promise<T> {
    this.#begunAt = performance.now();
    try {
      return await apply();
    } finally {
      this.#lastMs = performance.now() - this.#begunAt;
      this.#begunAt = undefined;
    }
  }

  /** Until what was handed over will have been applied, by how long it took the last time. */
  remainingMs(): number {
    const underWay = this.#begunAt === undefined ? 0 : Math.max(0, this.#lastMs - (performance.now() - this.#begunAt));
    return underWay + (this.#waiting === undefined ? 0 : this.#lastMs);
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined);
}

/** What no waiting changes. */
function isFinal(error: DrError): boolean {
  return hasCode(
    error,
    "INTERNAL",
    "USAGE",
    "SETTING_INVALID",
    "NOT_SUPPORTED",
    "VERSION_UNSUPPORTED",
    "KEY_UNAVAILABLE",
    "EPOCH_CONFLICT",
    "ROLE_REFUSES",
    "TARGET_NOT_EMPTY",
  );
}
