export interface Clock {
  /** The time of day, for what is written down. It may be set, also back: no deadline may depend on it. */
  now(): Date;
  /** Milliseconds that only grow, from no particular beginning: for durations and deadlines. */
  monotonic(): number;
  /** Ends after `ms` milliseconds; rejects with the signal's reason as soon as it is aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}
