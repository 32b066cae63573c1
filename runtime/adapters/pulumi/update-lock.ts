/**
 * The lock that an update holds on its stack in a backend of files or in a bucket. An update that is killed leaves it behind,
 * and every later one would be refused.
 */
import { rm } from "node:fs/promises";
import { hostname } from "node:os";
import { fileURLToPath } from "node:url";
import { DeleteObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { isAlive } from "../process-identity.ts";

/** In the refusal of pulumi 3.259: `  <url>: created by <user>@<host> (pid <pid>) at <time>`, a line for each lock. */
const lockLine = /^\s*(\S+): created by ([^@\s]*)@(\S+) \(pid (\d+)\) at (\S+)/gm;

export interface UpdateLock {
  readonly url: string;
  readonly user: string;
  readonly host: string;
  readonly pid: number;
  readonly at: string;
}

export function locksIn(refusal: string): UpdateLock[] {
  return [...refusal.matchAll(lockLine)].map(([, url = "", user = "", host = "", pid, at = ""]) => {
    return { url, user, host, pid: Number(pid), at };
  });
}

/** Takes locks away whose owners ran on this machine and are dead; answers whether each lock was such a one. */
export async function removeDeadLocks(refusal: string): Promise<boolean> {
  const locks = locksIn(refusal);
  const areDead = locks.every(({ host, pid, url }) => isRemovable(url) && host === hostname() && !isAlive(pid));
  if (locks.length === 0 || !areDead) return false;
  // These objects and no others, each of which has its lock's own name: a lock that somebody takes meanwhile stays.
  for (const { url } of locks) await remove(new URL(url));
  return true;
}

function isRemovable(url: string): boolean {
  return /^(file|s3):/.test(url);
}

async function remove(url: URL): Promise<void> {
  if (url.protocol === "file:") return rm(fileURLToPath(url), { force: true });
  // As pulumi's own client takes a backend's URL: credentials from the environment, the rest from the query.
  const { searchParams } = url;
  const endpoint = searchParams.get("endpoint");
  const client = new S3Client({
    ...(searchParams.has("region") ? { region: searchParams.get("region") ?? "" } : {}),
    ...(endpoint === null ? {} : { endpoint: /^https?:/.test(endpoint) ? endpoint : `https://${endpoint}` }),
    forcePathStyle: searchParams.get("s3ForcePathStyle") === "true" || searchParams.get("use_path_style") === "true",
  });
  try {
    const key = decodeURIComponent(url.pathname.slice(1));
    await client.send(new DeleteObjectCommand({ Bucket: url.hostname, Key: key }));
  } finally {
    client.destroy();
  }
}

/** Whether each lock is of an update that runs on this machine: it ends, or dies and can be taken away then. */
export function areHeldHere(refusal: string): boolean {
  const locks = locksIn(refusal);
  return locks.length > 0 && locks.every(({ host, pid }) => host === hostname() && isAlive(pid));
}
