/**
 * Processes of the practice estate: started detached, found again by a mark in their environment, whoever started them
 * and whatever was killed meanwhile. No PID file can lie about them.
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { closeSync, openSync } from "node:fs";
import { mkdir, readdir, readFile } from "node:fs/promises";
import { createServer } from "node:net";
import { isAlive } from "../../runtime/adapters/process-identity.ts";
import { hasErrno } from "../../runtime/errno.ts";
import { DrError } from "../../runtime/errors.ts";
import { systemClock } from "../../runtime/time/system-clock.ts";
import { waitAtMost, waitUntil } from "../../runtime/time/wait-until.ts";

const markName = "QDRANT_DR_PROCESS";
const specName = "QDRANT_DR_PROCESS_SPEC";
const pollMs = 25;
const readyWithinMs = 60_000;
const stopWithinMs = 10_000;
const portFreeWithinMs = 1_000;

export interface ProcessSpec {
  /** The estate it belongs to; `killEstate` ends an estate's processes. */
  readonly estate: string;
  readonly name: string;
  /** Looked up on PATH. */
  readonly command: string;
  readonly args: readonly string[];
  /** Beside PATH and HOME; secrets belong here, never in `args`. */
  readonly env: Readonly<Record<string, string>>;
  /** Working folder; made when it is missing. The log stands beside it. */
  readonly folder: string;
  /** On 127.0.0.1; must be free before it starts. */
  readonly ports: readonly number[];
}

/** A program that others ask: it is started when it answers. */
export interface ServerSpec extends ProcessSpec {
  /** Ready when each of these answers 2xx. */
  readonly readyUrls: readonly string[];
}

export interface RunningProcess {
  readonly pid: number;
  /** Digest of the spec it was started with. */
  readonly spec: string;
}

/** Starts a server, or adopts the one that runs with the same spec; another spec's is stopped first. */
export async function startServer(spec: ServerSpec): Promise<RunningProcess> {
  await launchProcess(spec);
  return waitUntilReady(spec);
}

/** The same for a program that is not asked: it runs when this returns. */
export async function launchProcess(spec: ProcessSpec): Promise<void> {
  const digest = digestOf(spec);
  const running = await findProcess(spec);
  if (running?.spec === digest) return;
  if (running !== undefined) await stopProcess(spec);
  for (const port of spec.ports) await refuseTakenPort(spec.name, port);
  await mkdir(spec.folder, { recursive: true, mode: 0o700 });
  await launch(spec, digest);
}

export async function findProcess(spec: Pick<ProcessSpec, "estate" | "name">): Promise<RunningProcess | undefined> {
  const mark = markOf(spec);
  return (await markedProcesses()).find((found) => found.mark === mark);
}

/** SIGTERM, and SIGKILL when that takes too long; returns when the process is gone. */
export async function stopProcess(spec: Pick<ProcessSpec, "estate" | "name">): Promise<void> {
  const running = await findProcess(spec);
  if (running !== undefined) await endProcess(running.pid, "SIGTERM");
}

/** Ends processes of an estate at once, without grace: all, or those named. None is left when it returns. */
export async function killEstate(estate: string, names?: readonly string[]): Promise<void> {
  const isMeant = (mark: string) =>
    names === undefined ? mark.startsWith(`${estate}/`) : names.some((name) => mark === markOf({ estate, name }));
  for (;;) {
    const found = (await markedProcesses()).filter(({ mark }) => isMeant(mark));
    if (found.length === 0) return;
    await Promise.all(found.map(({ pid }) => endProcess(pid, "SIGKILL")));
  }
}

/** Environment that makes a program and all it starts part of an estate, so that `killEstate` finds them. */
export function markAs({ estate, name }: Pick<ProcessSpec, "estate" | "name">): Record<string, string> {
  return { [markName]: markOf({ estate, name }) };
}

function markOf({ estate, name }: Pick<ProcessSpec, "estate" | "name">): string {
  return `${estate}/${name}`;
}

function digestOf(spec: ProcessSpec): string {
  const { args, command, env, folder, ports } = spec;
  return createHash("sha256")
    .update(JSON.stringify([command, args, Object.entries(env).sort(), folder, ports]))
    .digest("hex");
}

async function launch(spec: ProcessSpec, digest: string): Promise<void> {
  const log = openSync(logPath(spec), "a", 0o600);
  try {
    const child = spawn(spec.command, spec.args, {
      cwd: spec.folder,
      detached: true,
      stdio: ["ignore", log, log],
      env: {
        PATH: process.env["PATH"],
        HOME: process.env["HOME"],
        ...spec.env,
        ...markAs(spec),
        [specName]: digest,
      },
    });
    await new Promise<void>((resolve, reject) => {
      child.once("spawn", resolve);
      child.once("error", reject);
    });
    child.unref();
  } catch (cause) {
    if (!hasErrno(cause, "ENOENT")) throw cause;
    throw new DrError("PART_MISSING", `${spec.command} is not on PATH`, {
      hint: "`qdrant-dr doctor --parts` shows what is missing and how to get it",
      cause,
    });
  } finally {
    closeSync(log);
  }
}

async function waitUntilReady(spec: ServerSpec): Promise<RunningProcess> {
  const ready = await waitAtMost(systemClock, { withinMs: readyWithinMs, everyMs: pollMs }, async () => {
    const running = await findProcess(spec);
    if (running === undefined) throw await failed(spec, "ended before it was ready");
    return (await Promise.all(spec.readyUrls.map(answers))).every(Boolean) && running;
  });
  if (ready !== undefined) return ready;
  await stopProcess(spec);
  throw await failed(spec, `was not ready after ${readyWithinMs / 1000} s`);
}

async function answers(url: string): Promise<boolean> {
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(2_000) });
    await answer.arrayBuffer();
    return answer.ok;
  } catch {
    // Not listening yet: asked again until the deadline.
    return false;
  }
}

async function failed(spec: ProcessSpec, what: string): Promise<DrError> {
  const log = await readFile(logPath(spec), "utf8");
  const isFull = /no space left on device/i.test(log);
  const tail = log.trim().split("\n").slice(-3).join(" | ").slice(-500);
  return new DrError(isFull ? "DISK_FULL" : "PROCESS_FAILED", `${spec.name} (${spec.command}) ${what}: ${tail}`, {
    hint: isFull ? `free some space on the disk of ${spec.folder}` : `its log is ${logPath(spec)}`,
  });
}

function logPath({ folder }: ProcessSpec): string {
  return `${folder}.log`;
}

export async function refuseTakenPort(name: string, port: number): Promise<void> {
  const expired = () =>
    new DrError("PORT_TAKEN", `${name} needs port ${port} on 127.0.0.1, and another program has it`, {
      hint: `see who with \`ss -ltnp 'sport = :${port}'\`, end it or set another port`,
    });
  // Whoever was killed a moment ago may hold its ports until its last thread has ended.
  const wait = { what: `port ${port} to be free`, withinMs: portFreeWithinMs, everyMs: pollMs, expired };
  await waitUntil(systemClock, wait, async () => !(await isTaken(port)));
}

async function isTaken(port: number): Promise<boolean> {
  const server = createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ host: "127.0.0.1", port, exclusive: true }, resolve);
    });
  } catch (error) {
    if (hasErrno(error, "EADDRINUSE")) return true;
    throw error;
  }
  await new Promise((resolve) => server.close(resolve));
  return false;
}

async function endProcess(pid: number, signal: NodeJS.Signals): Promise<void> {
  const wait = {
    what: `process ${pid} to end`,
    withinMs: stopWithinMs,
    everyMs: pollMs,
    expired: () => new DrError("PROCESS_FAILED", `process ${pid} does not end`, { hint: `kill -9 ${pid}` }),
  };
  const hasEnded = () => !isAlive(pid);
  sendSignal(pid, signal);
  if ((await waitAtMost(systemClock, wait, hasEnded)) !== undefined) return;
  sendSignal(pid, "SIGKILL");
  await waitUntil(systemClock, wait, hasEnded);
}

function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (!hasErrno(error, "ESRCH")) throw error;
  }
}

interface MarkedProcess extends RunningProcess {
  readonly mark: string;
}

async function markedProcesses(): Promise<MarkedProcess[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name)).map(Number);
  const found = await Promise.all(
    pids.map(async (pid): Promise<MarkedProcess[]> => {
      const environment = await readEnvironment(pid);
      const mark = environment.get(markName);
      if (mark === undefined || !isAlive(pid)) return [];
      return [{ pid, mark, spec: environment.get(specName) ?? "" }];
    }),
  );
  return found.flat();
}

async function readEnvironment(pid: number): Promise<Map<string, string>> {
  try {
    const text = await readFile(`/proc/${pid}/environ`, "utf8");
    return new Map(
      text.split("\0").map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]),
    );
  } catch (error) {
    // Gone meanwhile, or another user's: not one of ours.
    if (hasErrno(error, "ENOENT", "ESRCH", "EACCES", "EPERM")) return new Map();
    throw error;
  }
}
