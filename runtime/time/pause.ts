import type { Clock } from "../ports/clock.ts";

/** Sleeps until the time is over or the signal is aborted, which is no error here. */
export async function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  try {
    await clock.sleep(ms, signal);
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
