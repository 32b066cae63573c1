import type { ChildProcess } from "node:child_process";
import { once } from "node:events";

/** Returns when the process is gone; at once when it is, or never was. */
export async function killed(child: ChildProcess | undefined): Promise<void> {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, "exit");
  child.kill("SIGKILL");
  await exit;
}
