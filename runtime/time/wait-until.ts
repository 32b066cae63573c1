import { DrError } from "../errors.ts";
import type { Clock } from "../ports/clock.ts";

export interface Wait {
  /** For the message: the state that is waited for, as in "waited 60 s for the gate of west to open". */
  readonly what: string;
  readonly withinMs: number;
  readonly everyMs: number;
  readonly signal?: AbortSignal | undefined;
  /** Makes the error of a wait that expired. */
  readonly expired?: (() => unknown) | undefined;
}

/** Answers what was found; `undefined` or `false` asks for another look. `leftMs` is how much of the time is left. */
type Probe<T> = (leftMs: number) => Promise<T | false | undefined> | T | false | undefined;

/**
 * Asks `probe` until it finds something, and returns that. It asks at least once, and a last time at the deadline; it does not
 * cut a probe short. Throws TIMED_OUT, or the wait's own error.
 */
export async function waitUntil<T>(clock: Clock, wait: Wait, probe: Probe<T>): Promise<T> {
  const found = await waitAtMost(clock, wait, probe);
  if (found !== undefined) return found;
  throw wait.expired?.() ?? timedOut(wait);
}

/** Like `waitUntil`, for a wait that may expire without an error: returns undefined then. */
export async function waitAtMost<T>(
  clock: Clock,
  { everyMs, signal, withinMs }: Pick<Wait, "everyMs" | "signal" | "withinMs">,
  probe: Probe<T>,
): Promise<T | undefined> {
  const deadline = clock.monotonic() + withinMs;
  // Timers count in milliseconds and may wake a moment early: the look at the deadline is the last one all the same.
  for (let isLast = false; ; ) {
    signal?.throwIfAborted();
    const found = await probe(Math.max(0, deadline - clock.monotonic()));
    if (found !== undefined && found !== false) return found;
    const leftMs = deadline - clock.monotonic();
    if (isLast || leftMs < 1) return undefined;
    isLast = leftMs <= everyMs;
    await clock.sleep(Math.min(everyMs, leftMs), signal);
  }
}

function timedOut({ what, withinMs }: Wait): DrError {
  return new DrError("TIMED_OUT", `waited ${withinMs / 1000} s for ${what}`, { hint: "run it again" });
}
