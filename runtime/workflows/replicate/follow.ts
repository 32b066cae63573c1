/**
 * Replicates again and again: the next state is captured while the last one is applied, just in time for its end. A source
 * that is busy is left alone for longer, within limits; what fails is tried again, ever more slowly. Where another has the turn,
 * a failover or a region that is active now, it waits until that is over, and goes on by itself.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { type DrError, hasCode, toDrError } from "../../errors.ts";

const longestPauseMs = 60_000;
const shortestPauseMs = 1_000;
/** Roles change in seconds, and a pair that does not protect itself afterwards is worth a few requests. */
const longestWaitMs = 10_000;
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
  const waiting = new LatestStateQueue<State>(signal);
  let last: Report | undefined;
  let waitsFor: string | undefined;

  const captureAgain = async () => {
    let before = 0;
    for (let failures = 0; !signal.aborted; ) {
      const begun = performance.now();
      const tried = await attempt(failures, async () => waiting.hand(await request.capture(signal)));
      failures = tried.failures;
      const took = performance.now() - begun;
      const paceMs = Math.max(
        everyMs - took,
        Math.min(longestRestMs, restsFor * Math.min(took, before)),
        waiting.remainingMs() - took,
      );
      before = took;
      await pause(tried.pauseMs ?? paceMs, signal);
    }
  };
  const applyAgain = async () => {
    for (let failures = 0; ; ) {
      const state = await waiting.next();
      if (state === undefined) return;
      const tried = await attempt(failures, async () => {
        last = await waiting.timed(() => request.apply(state));
        told({ report: last });
      });
      failures = tried.failures;
      if (tried.pauseMs === undefined) continue;
      waiting.handBack(state);
      await pause(tried.pauseMs, signal);
    }
  };
  /** How often it has failed in a row, and how long it is left alone then. */
  const attempt = async (before: number, act: () => Promise<void>): Promise<{ failures: number; pauseMs?: number }> => {
    try {
      await act();
      waitsFor = undefined;
      return { failures: 0 };
    } catch (error) {
      // What it waited for is of no interest any more.
      if (signal.aborted && error instanceof Error && error.name === "AbortError") {
        return { failures: before, pauseMs: 0 };
      }
      const known = toDrError(error);
      if ((request.isFinal ?? isFinal)(known)) throw error;
      const failures = before + 1;
      const backOffMs = Math.max(shortestPauseMs, everyMs) * 2 ** (failures - 1);
      if (!isOthersTurn(known)) {
        told({ problem: `${known.code}: ${known.message}; it is tried again` });
        return { failures, pauseMs: Math.min(longestPauseMs, backOffMs) };
      }
      // It may last for weeks, and is said once.
      if (known.message !== waitsFor) told({ problem: `${known.code}: ${known.message}; it waits until that is over` });
      waitsFor = known.message;
      return { failures, pauseMs: Math.min(longestWaitMs, backOffMs) };
    }
  };

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
class LatestStateQueue<State> {
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

  /** The time until the waiting states are applied, estimated by the last one. */
  remainingMs(): number {
    const underWay = this.#begunAt === undefined ? 0 : Math.max(0, this.#lastMs - (performance.now() - this.#begunAt));
    return underWay + (this.#waiting === undefined ? 0 : this.#lastMs);
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined);
}

/** What no waiting changes: a person must. */
export function isFinal(error: DrError): boolean {
  return hasCode(
    error,
    "INTERNAL",
    "USAGE",
    "SETTING_INVALID",
    "NOT_SUPPORTED",
    "VERSION_UNSUPPORTED",
    "KEY_UNAVAILABLE",
    "TARGET_NOT_EMPTY",
  );
}

function isOthersTurn(error: DrError): boolean {
  return hasCode(error, "EPOCH_CONFLICT", "ROLE_REFUSES");
}
