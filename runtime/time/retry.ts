import type { Clock } from "../ports/clock.ts";

/** Attempts, a budget of time, or both: something always ends it. */
type RetryLimit =
  | { readonly attempts: number; readonly budgetMs?: number | undefined }
  | { readonly attempts?: undefined; readonly budgetMs: number };

export type RetryPolicy = RetryLimit & {
  readonly firstDelayMs: number;
  /** Each delay is this many times the one before; 2 by default. */
  readonly factor?: number | undefined;
  readonly longestDelayMs?: number | undefined;
  /** The share of each delay that is left to chance, from 0 (none, the default) to 1: callers that failed together do not return together. */
  readonly jitter?: number | undefined;
  readonly isRetryable: (error: unknown) => boolean;
  /** The delay that a server asked for, in the place of the computed one. */
  readonly askedDelayMs?: ((error: unknown) => number | undefined) | undefined;
  readonly signal?: AbortSignal | undefined;
};

/**
 * Calls `act` until it succeeds, and returns its result. Throws its error when that cannot be retried, when the attempts are
 * used up, or when the next attempt would begin after the budget.
 */
export async function retry<T>(
  clock: Clock,
  policy: RetryPolicy,
  act: (attempt: number) => Promise<T>,
  random: () => number = Math.random,
): Promise<T> {
  const { attempts = Number.POSITIVE_INFINITY, budgetMs = Number.POSITIVE_INFINITY, signal } = policy;
  const deadline = clock.monotonic() + budgetMs;
  for (let attempt = 1; ; attempt += 1) {
    signal?.throwIfAborted();
    try {
      return await act(attempt);
    } catch (error) {
      if (attempt >= attempts || !policy.isRetryable(error)) throw error;
      const delayMs = policy.askedDelayMs?.(error) ?? delayAfter(attempt, policy, random);
      if (clock.monotonic() + delayMs > deadline) throw error;
      await clock.sleep(delayMs, signal);
    }
  }
}

function delayAfter(attempt: number, policy: RetryPolicy, random: () => number): number {
  const { factor = 2, firstDelayMs, jitter = 0, longestDelayMs = Number.POSITIVE_INFINITY } = policy;
  return Math.min(longestDelayMs, firstDelayMs * factor ** (attempt - 1)) * (1 - jitter * random());
}
