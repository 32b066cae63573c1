import type { Clock } from "../../../runtime/ports/clock.ts";
import { systemClock } from "../../../runtime/time/system-clock.ts";

/** A minute passes with every look at it, so that patience is over at once. The time of day and sleeps are real. */
export function hastyClock(): Clock {
  let minutes = 0;
  return { ...systemClock, monotonic: () => systemClock.monotonic() + 60_000 * minutes++ };
}
