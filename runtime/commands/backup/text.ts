import { formatBytes, formatCount, formatSeconds } from "../../domain/format.ts";
import type { CaptureReport } from "../../workflows/capture/capture-point.ts";
import type { CapturePreview } from "../../workflows/capture/preview-capture.ts";

export function reportInWords(report: CaptureReport): string {
  const work = `${formatBytes(report.readBytes)} read, ${formatBytes(report.storedBytes)} stored in ${formatSeconds(report.seconds)}`;
  if (!report.isCommitted) return `This worker's part of ${report.point} is done; others are not\n  ${work}`;
  const exactness = report.isExact
    ? "exact"
    : "not known to be exact: an optimization ran meanwhile, deletes since it began may be undone, or a file changed";
  const folders = report.folders === 0 ? "" : ` and ${formatCount(report.folders)} folders`;
  return [
    `Recovery point ${report.point} (${report.type}) of ${report.time}`,
    `  ${formatCount(report.points)} points in ${formatCount(report.collections)} collections${folders}, ${exactness}`,
    `  ${work}`,
  ].join("\n");
}

export function previewInWords({ base, folders, shards }: CapturePreview): string {
  const rows = shards.map(({ because, collection, lastStoredBytes, peer, reads, shard }) => {
    const size = lastStoredBytes === undefined ? "" : `, last stored as ${formatBytes(lastStoredBytes)}`;
    return `  ${collection} shard ${shard} (peer ${peer}): ${reads}${because === undefined ? "" : `, ${because}`}${size}`;
  });
  return [
    base === undefined ? "Would read, there being no recovery point yet:" : `Would read, building on ${base}:`,
    ...rows,
    ...folders.map(({ kind, name }) => `  ${kind} ${name}`),
    "Nothing was stored.",
  ].join("\n");
}
