import type { Clock } from "../../../runtime/ports/clock.ts";
import { systemClock } from "../../../runtime/time/system-clock.ts";

/** A clock that shows another time of day. Durations and sleeps are real. */
export function clockShowing(now: () => Date): Clock {
  return { ...systemClock, now };
}
