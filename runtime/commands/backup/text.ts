import { formatBytes, formatCount, formatSeconds } from "../../domain/format.ts";
import { missingInWords } from "../../domain/recovery-points/missing.ts";
import type { CaptureReport } from "../../workflows/capture/capture-report.ts";
import type { CaptureForecast } from "../../workflows/capture/forecast-capture.ts";

export function reportInWords(report: CaptureReport): string {
  const { excluded, missing } = report;
  const work = `${formatBytes(report.readBytes)} read, ${formatBytes(report.storedBytes)} stored in ${formatSeconds(report.seconds)}`;
  if (!report.isCommitted) return `This worker's part of ${report.recoveryPoint} is done; others are not\n  ${work}`;
  const exactness = report.isExact
    ? "exact"
    : "not known to be exact: an optimization ran meanwhile, deletes since it began may be undone, a file changed, or something is missing";
  const folders = report.folders === 0 ? "" : ` and ${formatCount(report.folders)} folders`;
  return [
    `Recovery point ${report.recoveryPoint} (${report.type}) of ${report.time}`,
    `  ${formatCount(report.points)} points in ${formatCount(report.collections)} collections${folders}, ${exactness}`,
    ...missing.map((each) => `  missing: ${missingInWords(each)}`),
    ...(excluded.length === 0 ? [] : [`  left out on purpose: ${excluded.join(", ")}`]),
    `  ${work}`,
  ].join("\n");
}

export function forecastInWords(forecast: CaptureForecast): string {
  const { base, carried, epoch, excluded, folders, missing, movements, qdrantVersion, region, shards } = forecast;
  const rows = shards.map(({ because, collection, lastStoredBytes, peer, reads, shard }) => {
    const size = lastStoredBytes === undefined ? "" : `, last stored as ${formatBytes(lastStoredBytes)}`;
    return `  ${collection} shard ${shard} (peer ${peer}): ${reads}${because === undefined ? "" : `, ${because}`}${size}`;
  });
  const server = qdrantVersion === undefined ? "" : `, Qdrant ${qdrantVersion}`;
  return [
    `${region} is active in epoch ${epoch}${server}; no restore is under way`,
    ...movements.map((movement) => `Would wait, because shards move: ${movement}`),
    base === undefined ? "Would read, there being no recovery point yet:" : `Would read, building on ${base}:`,
    ...rows,
    ...folders.map(({ kind, name }) => `  ${kind} ${name}`),
    ...(carried.length === 0 ? [] : [`As in ${base}: ${carried.join(", ")}`]),
    ...missing.map((each) => `Could not be read: ${missingInWords(each)}`),
    ...(excluded.length === 0 ? [] : [`Left out on purpose: ${excluded.join(", ")}`]),
    "Nothing was changed, and no snapshot was made.",
  ].join("\n");
}
