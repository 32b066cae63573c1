/**
 * Names for what stands on a disk for a moment only. They name the process that made it, so that a later one can tell
 * what a killed one left, and remove it.
 */
import { randomBytes } from "node:crypto";
import { lstat, readdir, rm, stat } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { hasErrno } from "../errno.ts";
import { isGone, readProcess } from "./process-identity.ts";

/** A process of another host cannot be looked at: what it made is left alone for so long. */
const strangersMs = 24 * 60 * 60_000;

const host = hostname().replaceAll(/[^A-Za-z0-9-]/g, "-");

export function scratchName(prefix: string): string {
  const id = randomBytes(4).toString("hex");
  return `${prefix}${host}.${process.pid}.${readProcess(process.pid)?.startTicks ?? 0}.${id}`;
}

/**
 * Removes what has a name with this prefix and a maker that is dead. In a folder for everybody only what this user made: what another one
 * put there under such a name may change into a link while it is gone through.
 */
export async function sweepScratch(folder: string, prefix: string): Promise<void> {
  for (const name of await namesIn(folder)) {
    if (!name.startsWith(prefix)) continue;
    const match = /^([A-Za-z0-9-]+)\.(\d+)\.(\d+)\.[0-9a-f]{8}$/.exec(name.slice(prefix.length));
    if (match === null) continue;
    const [, maker, pid, startTicks = ""] = match;
    const path = join(folder, name);
    const isDead = maker === host ? isGone({ pid: Number(pid), startTicks }) : await isOlder(path, strangersMs);
    if (isDead && (await isOwn(path))) await rm(path, { recursive: true, force: true });
  }
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (hasErrno(error, "ENOENT", "ENOTDIR")) return [];
    throw error;
  }
}

async function isOwn(path: string): Promise<boolean> {
  try {
    const { uid } = await lstat(path);
    return process.geteuid === undefined || uid === process.geteuid();
  } catch (error) {
    if (hasErrno(error, "ENOENT")) return false;
    throw error;
  }
}

async function isOlder(path: string, ageMs: number): Promise<boolean> {
  try {
    return Date.now() - (await stat(path)).ctimeMs > ageMs;
  } catch (error) {
    if (hasErrno(error, "ENOENT")) return false;
    throw error;
  }
}
