/** By what a process of this machine is known, also when it is gone: its kernel's boot, its PID and when it began. */
import { readFileSync, readlinkSync } from "node:fs";
import { hasErrno } from "../errno.ts";
import type { Runner } from "../ports/runner.ts";
import { isGone, readProcess } from "./process-identity.ts";

export class ThisProcess implements Runner {
  /** Undefined where the kernel does not tell. */
  readonly mark = ownMark();

  /** A mark of another machine, boot or PID namespace says nothing. */
  isDead(mark: string): boolean {
    const own = this.mark && placeOf(this.mark);
    if (own === undefined || placeOf(mark) !== own) return false;
    // Where others' processes are hidden, nothing is known of any.
    if (readProcess(1) === undefined) return false;
    const [pid, startTicks = ""] = mark.split("/").slice(-2);
    return isGone({ pid: Number(pid), startTicks });
  }
}

function ownMark(): string | undefined {
  const self = readProcess(process.pid);
  if (self === undefined) return undefined;
  try {
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    const namespace = readlinkSync("/proc/self/ns/pid");
    return `${boot}/${namespace}/${self.pid}/${self.startTicks}`;
  } catch (error) {
    if (hasErrno(error, "ENOENT", "EACCES", "EPERM")) return undefined;
    throw error;
  }
}

function placeOf(mark: string): string {
  return mark.split("/").slice(0, 2).join("/");
}
