/**
 * Processes of this machine: which one a PID stands for, and whether it has ended. A PID alone may be another process by now;
 * with the time at which it began it is one process of one boot.
 */
import { readFileSync } from "node:fs";
import { hasErrno } from "../errno.ts";
import { DrError } from "../errors.ts";

export interface ProcessIdentity {
  readonly pid: number;
  /** When it began, in ticks since the kernel's boot. */
  readonly startTicks: string;
}

export interface ProcessRecord extends ProcessIdentity {
  /** Also of one that its parent has not looked at yet: it holds no port and no file any more. */
  readonly hasEnded: boolean;
  /** What it has used so far, user and system. */
  readonly cpuSeconds: number;
}

/** USER_HZ, on every platform that Node runs on. */
const ticksPerSecond = 100;

/** Undefined when there is no such process, when it is hidden (proc(5): hidepid), and where the system has no /proc. */
export function readProcess(pid: number): ProcessRecord | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch (error) {
    if (hasErrno(error, "ENOENT", "ESRCH", "EACCES", "EPERM")) return undefined;
    throw error;
  }
  // proc(5): the fields count from 1. The command in field 2 may hold spaces and parentheses: the rest begins after its last one.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const field = (number: number) => fields[number - 3] ?? "";
  // Of a zombie, threads may still be ending, which hold its ports and files.
  const hasEnded = /^[ZX]/.test(field(3)) && Number(field(20)) <= 1;
  const cpuSeconds = (Number(field(14)) + Number(field(15))) / ticksPerSecond;
  return { pid, startTicks: field(22), hasEnded, cpuSeconds };
}

export function ownIdentity(): ProcessIdentity {
  const self = readProcess(process.pid);
  if (self !== undefined) return { pid: self.pid, startTicks: self.startTicks };
  throw new DrError("NOT_SUPPORTED", "this system has no /proc, which tells one process from another", {
    hint: "run it on Linux",
  });
}

/** Whether some process has this PID, which may be any number that a record holds. One that cannot be looked at counts as alive. */
export function isAlive(pid: number): boolean {
  // To the kernel, 0 and negative numbers are groups of processes.
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (hasErrno(error, "ESRCH")) return false;
    if (!hasErrno(error, "EPERM")) throw error;
  }
  return !(readProcess(pid)?.hasEnded ?? false);
}

/** Whether it is certain that this process has ended, also when another has its PID by now. */
export function isGone({ pid, startTicks }: ProcessIdentity): boolean {
  if (!isAlive(pid)) return true;
  const found = readProcess(pid);
  return found !== undefined && found.startTicks !== startTicks;
}
