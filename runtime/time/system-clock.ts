import { setTimeout } from "node:timers/promises";
import type { Clock } from "../ports/clock.ts";

/** A timer with a longer delay would end at once. */
const longestTimerMs = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => new Date(),
  monotonic: () => performance.now(),
  sleep: async (ms, signal) => {
    const wakeAt = performance.now() + ms;
    try {
      do {
        const leftMs = Math.max(0, wakeAt - performance.now());
        await setTimeout(Math.min(longestTimerMs, leftMs), undefined, { signal });
      } while (wakeAt - performance.now() > 1);
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    }
  },
};
