/** Which recovery points can be restored from a bucket: one answer, from one inventory of that bucket. */
import type { EpochRecord } from "./epoch.ts";
import { isOfActiveRegion } from "./epoch.ts";
import type { Attestation, RecoveryPoint } from "./recovery-point.ts";
import type { ShardTree } from "./shard-tree.ts";
import { storeLayout } from "./store-layout.ts";

/** Object sizes by key, as one listing of the whole bucket gave them. */
export type Inventory = ReadonlyMap<string, number>;

export type PointState = "complete" | "incomplete" | "deposed" | "quarantined" | "unreadable";

export interface CatalogEntry {
  readonly id: string;
  readonly state: PointState;
  /** Why the state is not `complete`; empty otherwise. */
  readonly reasons: readonly string[];
  /** Absent when the manifest could not be read. */
  readonly point?: RecoveryPoint;
  readonly attestations: readonly Attestation[];
}

/** The objects a point needs, trees included, with the sizes they must have. */
export function objectsOf(point: RecoveryPoint, trees: ReadonlyMap<string, ShardTree>): Map<string, number> {
  const objects = new Map<string, number>();
  for (const shard of point.collections.flatMap((collection) => collection.shards)) {
    objects.set(storeLayout.tree(shard.tree.id), shard.tree.size);
    for (const pack of trees.get(shard.tree.id)?.packs ?? []) objects.set(storeLayout.pack(pack.id), pack.size);
  }
  return objects;
}

/** Complete means: every object it names is there with the right size, and its region was active when it was made. */
export function judgePoint(
  point: RecoveryPoint,
  evidence: {
    readonly inventory: Inventory;
    readonly trees: ReadonlyMap<string, ShardTree>;
    readonly epochs: readonly EpochRecord[];
    readonly attestations: readonly Attestation[];
  },
): CatalogEntry {
  const { attestations, epochs, inventory, trees } = evidence;
  const entry = { id: point.id, point, attestations };
  const missing = [...objectsOf(point, trees)].flatMap(([key, size]) => {
    const found = inventory.get(key);
    if (found === undefined) return [`${key} is missing`];
    return found === size ? [] : [`${key} has ${found} bytes instead of ${size}`];
  });
  const unread = point.collections
    .flatMap((collection) => collection.shards)
    .filter((shard) => !trees.has(shard.tree.id))
    .map((shard) => `${storeLayout.tree(shard.tree.id)} cannot be read`);
  if (missing.length + unread.length > 0) {
    return { ...entry, state: "incomplete", reasons: [...new Set([...missing, ...unread])] };
  }
  const quarantine = attestations.find((attestation) => attestation.kind === "quarantined");
  if (quarantine !== undefined) return { ...entry, state: "quarantined", reasons: [quarantine.detail] };
  if (!isOfActiveRegion(point, epochs)) {
    return {
      ...entry,
      state: "deposed",
      reasons: [`${point.region} was not active in epoch ${point.epoch} at ${point.time}`],
    };
  }
  return { ...entry, state: "complete", reasons: [] };
}

/** The newest complete point by the time it stands for, at or before `until`. The only function that may answer this. */
export function resolveLatestRestorable(
  entries: readonly CatalogEntry[],
  until?: Date,
): (CatalogEntry & { readonly point: RecoveryPoint }) | undefined {
  let latest: (CatalogEntry & { readonly point: RecoveryPoint }) | undefined;
  for (const entry of entries) {
    if (entry.state !== "complete" || entry.point === undefined) continue;
    const time = Date.parse(entry.point.time);
    if (until !== undefined && time > until.getTime()) continue;
    if (latest === undefined || time > Date.parse(latest.point.time)) latest = { ...entry, point: entry.point };
  }
  return latest;
}
