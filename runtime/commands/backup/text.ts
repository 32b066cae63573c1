import { formatBytes, formatCount, formatSeconds } from "../../domain/format.ts";
import type { CaptureReport } from "../../workflows/capture/capture-report.ts";
import type { CaptureForecast } from "../../workflows/capture/forecast-capture.ts";

export function reportInWords(report: CaptureReport): string {
  const work = `${formatBytes(report.readBytes)} read, ${formatBytes(report.storedBytes)} stored in ${formatSeconds(report.seconds)}`;
  if (!report.isCommitted) return `This worker's part of ${report.recoveryPoint} is done; others are not\n  ${work}`;
  const exactness = report.isExact
    ? "exact"
    : "not known to be exact: an optimization ran meanwhile, deletes since it began may be undone, or a file changed";
  const folders = report.folders === 0 ? "" : ` and ${formatCount(report.folders)} folders`;
  return [
    `Recovery point ${report.recoveryPoint} (${report.type}) of ${report.time}`,
    `  ${formatCount(report.points)} points in ${formatCount(report.collections)} collections${folders}, ${exactness}`,
    `  ${work}`,
  ].join("\n");
}

export function forecastInWords(forecast: CaptureForecast): string {
  const { base, carried, epoch, folders, movements, qdrantVersion, region, shards } = forecast;
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
    "Nothing was changed, and no snapshot was made.",
  ].join("\n");
}
