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

/**
 * Asks `probe` until it answers something else than `undefined` or `false`, and returns that. It asks at least once, and a last
 * time at the deadline; it does not cut a probe short, which learns how much time is left. Throws TIMED_OUT, or the wait's own error.
 */
export async function waitUntil<T>(
  clock: Clock,
  { everyMs, expired, signal, what, withinMs }: Wait,
  probe: (leftMs: number) => Promise<T | false | undefined> | T | false | undefined,
): Promise<T> {
  const deadline = clock.monotonic() + withinMs;
  for (;;) {
    signal?.throwIfAborted();
    const found = await probe(Math.max(0, deadline - clock.monotonic()));
    if (found !== undefined && found !== false) return found;
    const leftMs = deadline - clock.monotonic();
    if (leftMs <= 0) throw expired?.() ?? timedOut(what, withinMs);
    await clock.sleep(Math.min(everyMs, leftMs), signal);
  }
}

function timedOut(what: string, withinMs: number): DrError {
  return new DrError("TIMED_OUT", `waited ${withinMs / 1000} s for ${what}`, { hint: "run it again" });
}
