import { formatBytes, formatCount, formatSeconds } from "../../domain/format.ts";
import type { WriterRights } from "../../ports/writer-rights.ts";
import type { QdrantDiagnosis } from "../../workflows/doctor/diagnose-qdrant.ts";
import type { StoreDiagnosis } from "../../workflows/doctor/diagnose-store.ts";
import { storeChecks } from "../../workflows/probe-store.ts";
import { predictedFrom } from "../shared/predicted-from.ts";

export function qdrantInWords(diagnosis: QdrantDiagnosis): string {
  const { collections, hazards, next, points, urls, version } = diagnosis;
  return [
    `Qdrant ${version} at ${urls.join(", ")}: ${counted(points, "point")} in ${counted(collections, "collection")}`,
    "",
    "If it were gone now",
    ...lossInWords(diagnosis).map((line) => `  ${line}`),
    `  ${restoreInWords(diagnosis)}`,
    "",
    hazards.length === 0 ? "No hazard was found." : "Hazards",
    ...hazards.flatMap(({ mend, severity, what }) => [
      `  ${severity.padEnd(7)}  ${what}`,
      ...(mend === undefined ? [] : [`           → ${mend}`]),
    ]),
    "",
    `Next: ${next.command}`,
    `  ${next.because}`,
  ].join("\n");
}

function lossInWords({ loss: { collections, newest, points } }: QdrantDiagnosis): string[] {
  if (newest === undefined) return ["everything would be lost: no recovery point is known that could be restored"];
  const lines = [
    `the writes of the last ${formatSeconds(newest.ageSeconds, 0)} would be lost: ${newest.id} is the newest recovery point`,
  ];
  if (collections.length > 0) {
    lines.push(
      `lost whole, because no recovery point holds them: ${collections.join(", ")} (${counted(points, "point")})`,
    );
  }
  return lines;
}

function restoreInWords({ loss, restore: { bytes, calibratedBy, isGuessed, seconds } }: QdrantDiagnosis): string {
  const size = `${formatBytes(bytes)}${isGuessed ? ", guessed from counts and vector sizes" : `, ${predictedFrom(calibratedBy)}`}`;
  const would = loss.newest === undefined ? "a restore would take" : "a restore takes";
  return `${would} about ${formatSeconds(seconds)} (${size}), once another Qdrant stands ready`;
}

export function storeInWords({ bytes, foreign, objects, probe, protection, writer }: StoreDiagnosis): string {
  return [
    `Store: ${counted(objects, "object")}, ${formatBytes(bytes)}`,
    ...(probe?.passed ?? []).map((check) => `  ✓ ${storeChecks[check]}`),
    ...(probe?.failed === undefined ? [] : [`  ✗ ${storeChecks[probe.failed.check]}`]),
    `  ${protectionInWords(protection)}`,
    ...(writer === undefined ? [] : [`  ${writerInWords(writer)}`]),
    ...(foreign.count === 0
      ? []
      : [
          `  ignored, because ${foreign.count === 1 ? "this name is" : "these names are"} not of this tool:`,
          ...foreign.names.map((name) => `    ${name}`),
          ...(foreign.count > foreign.names.length
            ? [`    and ${formatCount(foreign.count - foreign.names.length)} more`]
            : []),
        ]),
  ].join("\n");
}

function protectionInWords({ keepsVersions, lockedDays, problem }: StoreDiagnosis["protection"]): string {
  const because = problem === undefined ? "" : ` (${problem})`;
  const versions =
    keepsVersions === undefined
      ? `does not say whether it keeps versions${because}`
      : keepsVersions
        ? "keeps versions of what is deleted"
        : "keeps no versions: what is deleted is gone";
  const lock =
    lockedDays === undefined
      ? `does not say whether it locks objects${because}`
      : lockedDays > 0
        ? `locks new objects for ${formatCount(lockedDays)} days`
        : "locks no objects";
  return `${versions}; ${lock}`;
}

function writerInWords({ bypassesLock, deletes, destroys, replaces }: WriterRights): string {
  if (bypassesLock) {
    return "who holds these credentials can destroy what is there, past its lock: let the lock be in compliance mode, or take s3:BypassGovernanceRetention from them";
  }
  if (destroys) {
    return "who holds these credentials can destroy what is there: keep copies where they do not reach, and use a store that keeps versions and locks them";
  }
  if (deletes || replaces) {
    return "who holds these credentials can hide what is there, and destroy nothing: its versions stay, and an administrator brings them back";
  }
  return "who holds these credentials can neither replace nor delete what is there";
}

function counted(count: number, what: string): string {
  return `${formatCount(count)} ${what}${count === 1 ? "" : "s"}`;
}
