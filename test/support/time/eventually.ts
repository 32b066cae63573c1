import { systemClock } from "../../../runtime/time/system-clock.ts";
import { waitUntil } from "../../../runtime/time/wait-until.ts";

/** Looks until something is found, and returns it. Throws with `what` when it takes too long. */
export function eventually<T>(
  what: string,
  look: () => Promise<T | false | undefined> | T | false | undefined,
  { everyMs = 20, withinMs = 60_000 }: { readonly everyMs?: number; readonly withinMs?: number } = {},
): Promise<T> {
  return waitUntil(systemClock, { what, withinMs, everyMs }, look);
}
