import type { WorksWhile } from "../../runtime/domain/jobs.ts";
import type { Role } from "../../runtime/domain/roles/epoch.ts";

/** Whether a job works in a region that has the role. */
export function worksIn(role: Role, worksWhile: WorksWhile): boolean {
  if (worksWhile === "always") return true;
  return (role === "active") === (worksWhile === "active");
}
