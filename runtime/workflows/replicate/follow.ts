/**
 * Replicates again and again: the next state is captured while the last one is applied, just in time for its end. A source
 * that is busy is left alone for longer, within limits; what fails is tried again, ever more slowly. Where another has the turn,
 * a failover or a region that is active now, it waits until that is over, and goes on by itself.
 */
import { type DrError, hasCode, toDrError } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import { pause } from "../../time/pause.ts";

const longestPauseMs = 60_000;
const shortestPauseMs = 1_000;
/** Roles change in seconds, and a pair that does not protect itself afterwards is worth a few requests. */
const longestWaitMs = 10_000;
/** A source that merges all that it holds takes long to capture, and what is written meanwhile must not wait for it twice. */
const longestRestMs = 1_000;

export interface FollowRequest<State, Report> {
  /** Captures, or waits for, the next state; ends early when the signal aborts. */
  capture(signal: AbortSignal): Promise<State>;
  apply(state: State): Promise<Report>;
  /** The target interval between the beginnings of two captures. */
  readonly everyMs: number;
  /**
   * The source rests for this many times as long as a capture took, at most a second. A single long capture, as the first one and
   * the daily full one are, does not count.
   */
  readonly restsFor: number;
  /** Whether an error ends it, because no waiting helps; `isFinal` when left out. */
  isFinal?(error: DrError): boolean;
  /** Ends it after the state that is being applied. */
  readonly signal: AbortSignal;
  onReport(news: { readonly report: Report } | { readonly problem: string }): void;
  readonly clock: Clock;
}

/** Returns the report of the last state that was applied. Throws errors that no waiting mends. */
export async function follow<State, Report>(request: FollowRequest<State, Report>): Promise<Report | undefined> {
  const { clock, everyMs, onReport, restsFor } = request;
  const failed = new AbortController();
  const signal = AbortSignal.any([request.signal, failed.signal]);
  const waiting = new LatestStateQueue<State>(clock, signal);
  let last: Report | undefined;
  let waitsFor: string | undefined;

  const captureAgain = async () => {
    let before = 0;
    for (let failures = 0; !signal.aborted; ) {
      const begun = clock.monotonic();
      const tried = await attempt(failures, async () => waiting.hand(await request.capture(signal)));
      failures = tried.failures;
      const took = clock.monotonic() - begun;
      const paceMs = Math.max(
        everyMs - took,
        Math.min(longestRestMs, restsFor * Math.min(took, before)),
        waiting.remainingMs() - took,
      );
      before = took;
      await pause(clock, tried.pauseMs ?? paceMs, signal);
    }
  };
  const applyAgain = async () => {
    for (let failures = 0; ; ) {
      const state = await waiting.next();
      if (state === undefined) return;
      const tried = await attempt(failures, async () => {
        last = await waiting.timed(() => request.apply(state));
        onReport({ report: last });
      });
      failures = tried.failures;
      if (tried.pauseMs === undefined) continue;
      waiting.handBack(state);
      await pause(clock, tried.pauseMs, signal);
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
      if (signal.aborted && error === signal.reason) return { failures: before, pauseMs: 0 };
      const known = toDrError(error);
      if ((request.isFinal ?? isFinal)(known)) throw error;
      const failures = before + 1;
      const backOffMs = Math.max(shortestPauseMs, everyMs) * 2 ** (failures - 1);
      if (!isOthersTurn(known)) {
        onReport({ problem: `${known.code}: ${known.message}; it is tried again` });
        return { failures, pauseMs: Math.min(longestPauseMs, backOffMs) };
      }
      // The cause may last for weeks: it is reported once.
      if (known.message !== waitsFor)
        onReport({ problem: `${known.code}: ${known.message}; it waits until that is over` });
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
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  #waiting: { readonly state: State } | undefined;
  #wake: () => void = () => undefined;
  #begunAt: number | undefined;
  #lastMs = 0;

  constructor(clock: Clock, signal: AbortSignal) {
    this.#clock = clock;
    this.#signal = signal;
    signal.addEventListener("abort", () => this.#wake());
  }

  /** Replaces an older state that nobody took. */
  hand(state: State): void {
    this.#waiting = { state };
    this.#wake();
  }

  /** Returns a state for another try, unless a newer one waits. */
  handBack(state: State): void {
    this.#waiting ??= { state };
  }

  /** Waits for the next state; undefined once the signal aborted. */
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
    this.#begunAt = this.#clock.monotonic();
    try {
      return await apply();
    } finally {
      this.#lastMs = this.#clock.monotonic() - this.#begunAt;
      this.#begunAt = undefined;
    }
  }

  /** The time until the waiting states are applied, estimated by the last one. */
  remainingMs(): number {
    const underWay =
      this.#begunAt === undefined ? 0 : Math.max(0, this.#lastMs - (this.#clock.monotonic() - this.#begunAt));
    return underWay + (this.#waiting === undefined ? 0 : this.#lastMs);
  }
}

/** Whether a person must mend the cause of an error. */
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
