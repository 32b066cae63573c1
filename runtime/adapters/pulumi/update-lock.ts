/**
 * The lock that an update holds on its stack in a backend of files. An update that is killed leaves it behind, and every
 * later one would be refused.
 */
import { rm } from "node:fs/promises";
import { hostname } from "node:os";
import { fileURLToPath } from "node:url";
import { hasErrno } from "../../errno.ts";

/** In the refusal of pulumi 3.259: `  <url>: created by <user>@<host> (pid <pid>) at <time>`, a line for each lock. */
const lockLine = /^\s*(\S+): created by \S*@(\S+) \(pid (\d+)\) at /gm;

/** Takes locks away whose owners ran on this machine and are dead; answers whether each lock was such a one. */
export async function removeDeadLocks(refusal: string): Promise<boolean> {
  const locks = [...refusal.matchAll(lockLine)].map(([, url = "", host, pid]) => ({ url, host, pid: Number(pid) }));
  const areDead = locks.every(({ host, pid, url }) => url.startsWith("file:") && host === hostname() && !isAlive(pid));
  if (locks.length === 0 || !areDead) return false;
  // These files and no others: a lock that somebody takes meanwhile stays.
  for (const { url } of locks) await rm(fileURLToPath(new URL(url)), { force: true });
  return true;
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return !hasErrno(error, "ESRCH");
  }
}
