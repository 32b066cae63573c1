import { readProcess } from "../runtime/adapters/process-identity.ts";

/** What a process has used so far, user and system; NaN where the machine does not tell. */
export function cpuSeconds(pid: number | undefined): number {
  return (pid === undefined ? undefined : readProcess(pid)?.cpuSeconds) ?? Number.NaN;
}
