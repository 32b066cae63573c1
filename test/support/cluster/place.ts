/** Where a cluster of the tests is: a folder that holds all it writes, and addresses in a network of its own. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { basename, join } from "node:path";

export const folderPrefix = "qdrant-dr-cluster-";
const folderVariable = "QDRANT_DR_CLUSTER_FOLDER";

export const nodeName = "node1";
export const nodeAddress = "10.97.0.2";
export const podCidr = "10.244.0.0/16";
export const serviceCidr = "10.96.0.0/16";
export const dnsAddress = "10.96.0.10";
/** What stands for a cloud gives load balancers addresses of these. */
export const balancerCidr = "10.99.0.0/16";

export function clusterVariables(folder: string): Record<string, string> {
  return { [folderVariable]: folder };
}

/** The folder that the run was given; a test that is started without one must touch nothing of this machine. */
export function clusterFolder(...path: readonly string[]): string {
  const folder = process.env[folderVariable];
  if (folder === undefined) throw new Error("tests of a cluster are run by `npm run test:cluster`");
  return join(folder, ...path);
}

/** The cgroup above all of a cluster's containers. */
export function cgroupOf(folder: string): string {
  return basename(folder);
}

/** What is written below a folder of this machine goes to the cluster's folder from now on, in the cluster's namespace. */
export function mountOverlay(place: string): void {
  const [upper, work] = ["upper", "work"].map((name) => clusterFolder("written", place, name)) as [string, string];
  for (const folder of [upper, work]) mkdirSync(folder, { recursive: true });
  const options = `lowerdir=${place},upperdir=${upper},workdir=${work}`;
  execFileSync("mount", ["-t", "overlay", "overlay", "-o", options, place]);
}

export function onPath(program: string): string | undefined {
  const folders = (process.env["PATH"] ?? "").split(":");
  return folders.map((folder) => join(folder, program)).find((path) => existsSync(path));
}
