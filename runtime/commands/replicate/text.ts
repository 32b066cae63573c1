import { formatBytes, formatSeconds } from "../../domain/format.ts";
import { missingInWords } from "../../domain/recovery-points/missing.ts";
import type { FollowedReport } from "../../workflows/journal/journal-replication.ts";
import type { ReplicationReport } from "../../workflows/replicate/replicate-region.ts";
import type { StateReport } from "../../workflows/replicate/source-capturer.ts";
import type { CycleReport } from "../../workflows/replicate/standby-applier.ts";

export function formatCycle(found: ReplicationReport): string {
  if (found.kind === "journal") return followedInWords(found.report);
  if (found.kind === "applied") return appliedInWords(found.report);
  return found.kind === "captured" ? capturedInWords(found.report) : foldersInWords(found.report);
}

function followedInWords({ asOf, entries, lagSeconds, position, unreconciled }: FollowedReport): string {
  const lag = lagSeconds === undefined ? "nothing new" : `${formatSeconds(lagSeconds)} behind, ${entries} entries`;
  const behind = unreconciled.length === 0 ? "" : `; older than the rest: ${unreconciled.join(", ")}`;
  return `journal: ${lag}; applied to its object ${position}, as of ${asOf}${behind}`;
}

function appliedInWords(report: CycleReport): string {
  const { difference, whole } = report.shards;
  const applied = report.isChanged
    ? `${difference + whole} shards changed${whole === 0 ? "" : ` (${whole} whole)`}, ${formatBytes(report.readBytes)} read, ${formatBytes(report.storedBytes)} stored, ${formatBytes(report.sentBytes)} applied`
    : "nothing changed";
  return `the standby holds ${report.recoveryPoint}, as of ${report.asOf} (${formatSeconds(report.lagSeconds)} behind), ${stateInWords(report)}; ${applied}${lackInWords(report)}`;
}

function capturedInWords(report: StateReport): string {
  return `${report.recoveryPoint} is in the standby's bucket, as of ${report.asOf}, ${stateInWords(report)}; ${costInWords(report)}${lackInWords(report)}`;
}

function foldersInWords(report: StateReport): string {
  const state = report.isExact ? "exact" : "with a file that changed each time it was read";
  return `folders: ${report.recoveryPoint} is in the standby's bucket, as of ${report.asOf}, ${state}; ${costInWords(report)}${lackInWords(report)}`;
}

function costInWords({ captureSeconds, isChanged, readBytes, storedBytes }: StateReport): string {
  if (!isChanged) return "nothing changed";
  return `${formatBytes(readBytes)} read, ${formatBytes(storedBytes)} stored in ${formatSeconds(captureSeconds)}`;
}

function lackInWords({ missing }: StateReport): string {
  return missing.map((each) => `; missing: ${missingInWords(each)}`).join("");
}

function stateInWords({ isExact }: { readonly isExact: boolean }): string {
  return isExact ? "exact" : "provisional: an optimization runs, deletes since it began may be undone";
}
