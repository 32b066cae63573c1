import type { ChildProcess } from "node:child_process";
import { systemClock } from "../../../runtime/time/system-clock.ts";
import { waitUntil } from "../../../runtime/time/wait-until.ts";

/**
 * Returns when a server that was started is ready. Throws when its process ends before that, or takes too long.
 * @param said what it has said so far, for the error.
 */
export async function untilReady(
  child: ChildProcess,
  what: string,
  withinMs: number,
  isReady: () => Promise<boolean>,
  said: () => string = () => "",
): Promise<void> {
  const notStarted = () => new Error(`${what} did not start: ${said()}`);
  await waitUntil(systemClock, { what, withinMs, everyMs: 50, expired: notStarted }, async () => {
    if (await isReady()) return true;
    if (child.exitCode !== null) throw notStarted();
    return false;
  });
}

/** Whether it answers 2xx. */
export async function isOk(url: string): Promise<boolean> {
  try {
    const answer = await fetch(url);
    await answer.arrayBuffer();
    return answer.ok;
  } catch {
    return false;
  }
}
