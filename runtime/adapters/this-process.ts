/** By what a process of this machine is known, also when it is gone: its kernel's boot, its PID and when it began. */
import { readFileSync, readlinkSync } from "node:fs";
import type { Runner } from "../ports/runner.ts";

export class ThisProcess implements Runner {
  /** Undefined where the kernel does not tell. */
  readonly mark = markOf(process.pid);

  /** A mark of another machine, boot or PID namespace says nothing. */
  isDead(mark: string): boolean {
    const own = this.mark && placeOf(this.mark);
    if (own === undefined || placeOf(mark) !== own) return false;
    // Where others' processes are hidden, nothing is known of any.
    if (markOf(1) === undefined) return false;
    const pid = Number(mark.split("/").at(-2));
    return markOf(pid) !== mark;
  }
}

/** Undefined when there is no such process, or only what its parent has not looked at yet. */
function markOf(pid: number): string | undefined {
  try {
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    const namespace = readlinkSync("/proc/self/ns/pid");
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // proc(5): the state is field 3, starttime field 22; the command in field 2 may hold spaces and parentheses.
    const [state, ...fields] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    if (state === "Z" || state === "X") return undefined;
    return `${boot}/${namespace}/${pid}/${fields[18]}`;
  } catch {
    return undefined;
  }
}

function placeOf(mark: string): string {
  return mark.split("/").slice(0, 2).join("/");
}
