/** The cgroups that a cluster's containers are in, below one of the cluster's own. */
import { mkdirSync, readdirSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { cgroupOf } from "./place.ts";

const root = "/sys/fs/cgroup";

export function makeCgroups(folder: string): void {
  for (const hierarchy of hierarchies()) mkdirSync(join(hierarchy, cgroupOf(folder)), { recursive: true });
}

/** Those of a cluster whose processes are gone. */
export function removeCgroups(folder: string): void {
  for (const hierarchy of hierarchies()) removeTree(join(hierarchy, cgroupOf(folder)));
}

/** One in version 2; in version 1 one for each controller. */
function hierarchies(): string[] {
  const entries = readdirSync(root, { withFileTypes: true });
  if (entries.some(({ name }) => name === "cgroup.controllers")) return [root];
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => join(root, name));
}

/** A cgroup's files go with it, so only folders are removed. */
function removeTree(folder: string): void {
  try {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      if (entry.isDirectory()) removeTree(join(folder, entry.name));
    }
    rmdirSync(folder);
  } catch (error) {
    if (!["ENOENT", "EBUSY"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
  }
}
