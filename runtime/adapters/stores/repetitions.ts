/**
 * Repeats a store's requests where the store's error says that it is worth it. A repeated `create` that meets an object answers
 * "exists", also when the object is its own: who has to know reads it back, as after any error.
 */
import { DrError } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import { type RetryPolicy, retry } from "../../time/retry.ts";
import { PassingRefusal } from "../in-its-place.ts";
import { WorthRepeating } from "./worth-repeating.ts";

/** Makes a request, and makes it again where that is worth it. */
export type Repeat = <T>(act: () => Promise<T>) => Promise<T>;

export interface RepetitionLimits {
  /** How often in all a request is made that breaks off; 3 times when left out. */
  readonly attempts?: number | undefined;
  /** For how long a store that says that it is busy is asked again; a minute when left out. */
  readonly busyMs?: number | undefined;
}

/** The delay lets a broken connection recover; the jitter keeps two creators of one key from colliding again. */
const brokenOff = { attempts: 3, firstDelayMs: 50, jitter: 1, isRetryable: isWorthRepeating("at once") };

/** A store that throttles wants fewer requests: the delays grow, and callers that it refused together do not return together. */
const busy = {
  budgetMs: 60_000,
  firstDelayMs: 500,
  longestDelayMs: 8_000,
  jitter: 0.5,
  isRetryable: isWorthRepeating("busy"),
};

export function repetitions(
  clock: Clock,
  { attempts = brokenOff.attempts, busyMs = busy.budgetMs }: RepetitionLimits = {},
): Repeat {
  const whenBusy: RetryPolicy = { ...busy, budgetMs: busyMs };
  return (act) => retry(clock, whenBusy, () => retry(clock, { ...brokenOff, attempts }, act));
}

function isWorthRepeating(when: WorthRepeating["when"]): (error: unknown) => boolean {
  return (error) => {
    if (!(error instanceof DrError)) return false;
    // What stands before the store does not reach it, or allows no more now.
    if (error.cause instanceof PassingRefusal) return when === "busy";
    return error.cause instanceof WorthRepeating && error.cause.when === when;
  };
}
