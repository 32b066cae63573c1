/**
 * Runs the tests of test/cluster in namespaces of their own: network, mounts and processes. Nothing of the cluster is seen outside, and nothing
 * of it outlives the namespaces' first process, which ends with this one, however this one ends.
 */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants, existsSync, globSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { constants as systemConstants, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { removeCgroups } from "./cgroups.ts";
import { clusterVariables, folderPrefix } from "./place.ts";

const checkout = fileURLToPath(new URL("../../..", import.meta.url));
const ownNamespaces = ["--net", "--mount", "--pid", "--fork", "--kill-child=SIGKILL", "--mount-proc"];
const unshare = ["setpriv", "--pdeathsig", "KILL", "unshare", ...ownNamespaces, "--propagation", "private"];
const endings = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
/** The first process of a namespace takes in what others leave behind: a shell does, Node does not. */
const firstProcess = ["bash", "-c", '"$@"; exit $?', "cluster"];

const reason = whyNot();
if (reason === undefined) {
  const given = process.argv.slice(2);
  const files = given.length > 0 ? given : globSync("test/cluster/**/*.test.ts", { cwd: checkout }).sort();
  // A cluster for each file: what one leaves behind is nothing to the next.
  for (const file of files) process.exitCode = (await runTests(file)) || (process.exitCode ?? 0);
} else console.error(`test:cluster: skipped: ${reason}`);

/** What keeps a cluster from running here; undefined when nothing does. */
function whyNot(): string | undefined {
  if (process.platform !== "linux") return "a cluster's node runs on Linux";
  if (process.getuid?.() !== 0) return "a cluster's node is root's to run";
  const [command = "", ...args] = unshare;
  const { status, stderr } = spawnSync(command, [...args, "true"], { encoding: "utf8" });
  if (status !== 0) return `this machine lends no namespaces (${stderr?.trim() || `${command} cannot be run`})`;
  try {
    accessSync("/sys/fs/cgroup", constants.W_OK);
  } catch {
    return "this machine lends no cgroups";
  }
  return existsSync("/proc/sys/net/bridge") ? undefined : "the kernel's br_netfilter is not there";
}

async function runTests(file: string): Promise<number> {
  removeRemains();
  const folder = mkdtempSync(join(tmpdir(), `${folderPrefix}${process.pid}-`));
  mkdirSync(join(folder, "tmp"));
  const [command = "", ...before] = [...unshare, ...firstProcess, "mocha", "--exit", "--timeout", "600000", file];
  const child = spawn(command, before, {
    cwd: checkout,
    stdio: "inherit",
    env: { ...process.env, ...clusterVariables(folder), TMPDIR: join(folder, "tmp") },
  });
  let told: NodeJS.Signals | undefined;
  const end = (signal: NodeJS.Signals) => {
    told = signal;
    child.kill("SIGKILL");
  };
  for (const signal of endings) process.on(signal, end);
  const [code, signal] = (await once(child, "exit")) as [number | null, NodeJS.Signals | null];
  for (const ending of endings) process.off(ending, end);
  remove(folder);
  if (told !== undefined) process.exit(128 + systemConstants.signals[told]);
  return signal === null ? (code ?? 1) : 128 + systemConstants.signals[signal];
}

/** What runs left that were killed: their processes and mounts are gone, their folders are not. */
function removeRemains(): void {
  for (const name of readdirSync(tmpdir())) {
    const [, pid] = new RegExp(`^${folderPrefix}(\\d+)-`).exec(name) ?? [];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) remove(join(tmpdir(), name));
  }
}

function remove(folder: string): void {
  rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  removeCgroups(folder);
}
