/**
 * A shard's write-ahead log in its archive. A partial snapshot brings it without entries, as `wal/closed-<n>`, where n is
 * the number of the next operation. It has to be restored: Qdrant numbers operations by it, and acknowledges an overwrite
 * or a delete of a point that has a higher version than the operation's number without doing it (tried on 1.16.3 with an
 * empty folder in its place).
 */
import type { SegmentManifest } from "./segment-manifest.ts";

export const isOfLog = (path: string) => path.startsWith("wal/");

/** Whether the next operation gets a number above the version of every point. */
export function countsEveryOperation(paths: readonly string[], segments: SegmentManifest): boolean {
  const starts = paths.flatMap((path) => {
    const match = /^wal\/(?:closed|open)-(\d+)$/.exec(path);
    return match === null ? [] : [Number(match[1])];
  });
  const newest = Math.max(0, ...Object.values(segments).map(({ segment_version }) => segment_version));
  // A shard that was never written to begins with operation 0.
  return starts.length > 0 && (newest === 0 || Math.max(...starts) > newest);
}
