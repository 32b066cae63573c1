/**
 * By what it is recognised that nothing but replication changed a standby: a shard by its segments with their versions
 * (every write makes a version grow, every merge makes a new segment), a collection by its settings.
 */
import { createHash } from "node:crypto";
import { canonicalJson } from "../exact-json.ts";
import type { SegmentManifest } from "./segment-manifest.ts";
import type { ShardKey } from "./shard-key-plan.ts";

function markOfSegments(segments: SegmentManifest): string {
  const versions = Object.values(segments).map(({ segment_id, segment_version }) => [segment_id, segment_version]);
  return hashOf(versions.sort(([a], [b]) => (String(a) < String(b) ? -1 : 1)));
}

/** Of the replicas of a shard, by the peers that hold them: each may have other segments than the others. */
export function markOfReplicas(replicas: readonly MarkedReplica[]): string {
  return replicas
    .map(({ peer, segments }) => `${peer}:${markOfSegments(segments)}`)
    .sort()
    .join(" ");
}

/** Whether each of these replicas is as it was when `mark` was made. */
export function areAsMarked(replicas: readonly MarkedReplica[], mark: string): boolean {
  const marked = mark.split(" ");
  return replicas.every((replica) => marked.includes(markOfReplicas([replica])));
}

interface MarkedReplica {
  readonly peer: number;
  readonly segments: SegmentManifest;
}

/** Everything but the threads, which are off on a standby. */
export function markOfSettings(
  { config, payloadIndexes }: { readonly config: unknown; readonly payloadIndexes: unknown },
  shards: readonly { readonly id: number; readonly key?: ShardKey | undefined }[],
): string {
  const { optimizer_config, ...rest } = config as { optimizer_config?: { max_optimization_threads?: unknown } };
  const { max_optimization_threads: _threads, ...optimizers } = optimizer_config ?? {};
  const placed = shards.map(({ id, key }) => ({ id, key: key ?? null })).sort((a, b) => a.id - b.id);
  return hashOf({ ...rest, optimizers, payloadIndexes, placed });
}

function hashOf(value: unknown): string {
  return createHash("sha256").update(canonicalJson(value)).digest("hex").slice(0, 32);
}
