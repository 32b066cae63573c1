/** What of a practice estate is on this machine, asked of the kernel and not of the product. */
import { existsSync, readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { join } from "node:path";

const portsOfStore = 8;

interface RunningProcess {
  readonly pid: number;
  readonly commandLine: string;
  /** `<estate>/<name>`, if it is one of an estate. */
  readonly mark: string | undefined;
}

export interface Footprint {
  readonly estate: string;
  readonly folder: string;
  readonly processes: readonly RunningProcess[];
  /** TCP ports on which they listen. */
  readonly ports: readonly number[];
  /** Of its stores: in /tmp they have sockets that are named by them. */
  readonly storePorts: readonly number[];
  /** When it was made, in epoch milliseconds: what is older is not of it. */
  readonly madeAt: number;
}

export function runningProcesses(): RunningProcess[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      const folder = `/proc/${name}`;
      const commandLine = read(join(folder, "cmdline"))?.replaceAll("\0", " ").trim() ?? "";
      // A kernel's thread, or a zombie: it holds nothing.
      if (commandLine === "") return [];
      const environment = read(join(folder, "environ"))?.split("\0") ?? [];
      const mark = environment.find((line) => line.startsWith("QDRANT_DR_PROCESS="));
      return [{ pid: Number(name), commandLine, mark: mark?.slice(mark.indexOf("=") + 1) }];
    });
}

/** Names of the folders under a root of estates, unfinished ones included. */
export function estatesIn(root: string): string[] {
  return existsSync(root) ? readdirSync(root) : [];
}

/** What is there of the estate now. */
export function footprintOf(root: string, folderName: string): Footprint {
  const folder = join(root, folderName);
  const estate = /e[0-9a-f]{8}$/.exec(folderName)?.[0] ?? folderName;
  const processes = runningProcesses().filter(({ mark }) => mark?.startsWith(`${estate}/`));
  const note = read(join(folder, "estate.json"));
  const { createdAt, storePorts: first }: { createdAt: string; storePorts: number[] } =
    note === undefined ? { createdAt: "", storePorts: [] } : JSON.parse(note);
  const storePorts = first.flatMap((port) => Array.from({ length: portsOfStore }, (_, offset) => port + offset));
  const ports = listeningPorts(new Set(processes.map(({ pid }) => pid)));
  return { estate, folder, processes, ports, storePorts, madeAt: Date.parse(createdAt) };
}

/** What is left of it, in words; nothing when it is gone. */
export function remainsOf({ estate, folder, madeAt, ports, storePorts }: Footprint): string[] {
  const running = runningProcesses();
  const processes = running.filter(({ mark }) => mark?.startsWith(`${estate}/`));
  // What was given back may be another estate's by now.
  const others = running.filter(({ mark }) => mark !== undefined && !mark.startsWith(`${estate}/`));
  const taken = listeningPorts(new Set(others.map(({ pid }) => pid)));
  const listening = listeningPorts(undefined).filter((port) => !taken.includes(port));
  return [
    ...processes.map(({ commandLine, mark, pid }) => `process ${pid} ${mark}: ${commandLine.slice(0, 80)}`),
    ...(existsSync(folder) ? [`folder ${folder}`] : []),
    ...socketsOf(storePorts.filter((port) => !taken.includes(port))).filter((path) => !isOlder(path, madeAt)),
    ...ports.filter((port) => listening.includes(port)).map((port) => `port ${port}`),
  ];
}

/** Ports that these processes listen on, of all when none are given. */
function listeningPorts(pids: ReadonlySet<number> | undefined): number[] {
  const inodes = pids === undefined ? undefined : new Set([...pids].flatMap(socketInodes));
  const rows = ["/proc/net/tcp", "/proc/net/tcp6"].flatMap((path) => (read(path) ?? "").split("\n").slice(1));
  const ports = rows.flatMap((row) => {
    const [, local = "", , state, , , , , , inode = ""] = row.trim().split(/\s+/);
    const isWanted = state === "0A" && (inodes === undefined || inodes.has(inode));
    return isWanted ? [Number.parseInt(local.split(":")[1] ?? "", 16)] : [];
  });
  return [...new Set(ports)];
}

function socketInodes(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? [];
      } catch {
        // Closed meanwhile.
        return [];
      }
    });
  } catch {
    // Ended meanwhile.
    return [];
  }
}

/** The sockets in /tmp of stores on these ports. */
export function socketsOf(storePorts: readonly number[]): string[] {
  return readdirSync("/tmp")
    .filter((name) => /^seaweedfs-.*\.sock$/.test(name) && storePorts.includes(portOf(name)))
    .map((name) => join("/tmp", name));
}

function isOlder(path: string, time: number): boolean {
  const made = statSync(path, { throwIfNoEntry: false });
  return made === undefined || made.mtimeMs < time;
}

function portOf(socket: string): number {
  return Number(/-(\d+)\.sock$/.exec(socket)?.[1]);
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    // Gone meanwhile, or another user's.
    return undefined;
  }
}
