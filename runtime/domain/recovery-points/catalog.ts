/** Which recovery points can be restored from a bucket: one answer, from one inventory of that bucket. */
import type { EpochRecord } from "../roles/epoch.ts";
import { isOfActiveRegion } from "../roles/epoch.ts";
import { lackedCollections } from "./missing.ts";
import { type Attestation, capturesOf, type DataKind, type RecoveryPoint } from "./recovery-point.ts";
import { storeLayout } from "./store-layout.ts";
import type { Pack } from "./stored-content.ts";

/** Object sizes by key, as one listing of the whole bucket gave them. */
export type Inventory = ReadonlyMap<string, number>;

export type RecoveryPointState = "complete" | "incomplete" | "deposed" | "quarantined" | "unreadable";

export interface CatalogEntry {
  readonly id: string;
  readonly state: RecoveryPointState;
  /** Why the state is not `complete`; empty otherwise. */
  readonly reasons: readonly string[];
  /** Absent when the manifest could not be read. */
  readonly recoveryPoint?: RecoveryPoint;
  readonly attestations: readonly Attestation[];
}

/** The packs that each tree names, by the tree's id. */
export type TreePacks = ReadonlyMap<string, readonly Pack[]>;

/** The objects a recovery point needs, trees included, with the sizes they must have. */
export function objectsOf(recoveryPoint: RecoveryPoint, packs: TreePacks): Map<string, number> {
  const objects = new Map<string, number>();
  for (const { tree } of capturesOf(recoveryPoint)) {
    objects.set(storeLayout.tree(tree.id), tree.size);
    for (const pack of packs.get(tree.id) ?? []) objects.set(storeLayout.pack(pack.id), pack.size);
  }
  return objects;
}

/** Complete means: every object it names is there with the right size, and its region was active when it was made. */
export function judgeRecoveryPoint(
  recoveryPoint: RecoveryPoint,
  evidence: {
    readonly inventory: Inventory;
    readonly packs: TreePacks;
    readonly epochs: readonly EpochRecord[];
    readonly attestations: readonly Attestation[];
  },
): CatalogEntry {
  const { attestations, epochs, inventory, packs } = evidence;
  const entry = { id: recoveryPoint.id, recoveryPoint, attestations };
  const missing = [...objectsOf(recoveryPoint, packs)].flatMap(([key, size]) => {
    const found = inventory.get(key);
    if (found === undefined) return [`${key} is missing`];
    return found === size ? [] : [`${key} has ${found} bytes instead of ${size}`];
  });
  const unread = capturesOf(recoveryPoint)
    .filter(({ tree }) => !packs.has(tree.id))
    .map(({ tree }) => `${storeLayout.tree(tree.id)} cannot be read`);
  if (missing.length + unread.length > 0) {
    return { ...entry, state: "incomplete", reasons: [...new Set([...missing, ...unread])] };
  }
  const quarantine = attestations.find((attestation) => attestation.kind === "quarantined");
  if (quarantine !== undefined) return { ...entry, state: "quarantined", reasons: [quarantine.detail] };
  if (!isOfActiveRegion(recoveryPoint, epochs)) {
    return {
      ...entry,
      state: "deposed",
      reasons: [`${recoveryPoint.region} was not active in epoch ${recoveryPoint.epoch} at ${recoveryPoint.startedAt}`],
    };
  }
  return { ...entry, state: "complete", reasons: [] };
}

/** What is to be restored. */
export interface Wanted {
  readonly kinds?: readonly DataKind[] | undefined;
  /** A recovery point that says that it lacks one of them is passed over. One that was dropped before is in none since. */
  readonly collections?: readonly string[] | undefined;
}

/**
 * The newest complete recovery point that holds what is wanted and was captured, not imported: the one whose capture began last, at or before
 * `until`. What a capture did not read
 * is older in it (`time`), as its tier says. The only function that may answer this.
 */
export function resolveLatestRestorable(
  entries: readonly CatalogEntry[],
  { collections = [], kinds = ["qdrant"], until }: Wanted & { readonly until?: Date | undefined } = {},
): (CatalogEntry & { readonly recoveryPoint: RecoveryPoint }) | undefined {
  let latest: (CatalogEntry & { readonly recoveryPoint: RecoveryPoint }) | undefined;
  for (const entry of entries) {
    if (entry.state !== "complete" || entry.recoveryPoint === undefined || !holds(entry.recoveryPoint, kinds)) continue;
    if (entry.recoveryPoint.imported !== undefined) continue;
    if (quarantineOfFolders(entry) !== undefined && kinds.some((kind) => kind !== "qdrant")) continue;
    if (lacks(entry.recoveryPoint, collections)) continue;
    if (until !== undefined && Date.parse(entry.recoveryPoint.startedAt) > until.getTime()) continue;
    if (latest === undefined || isNewer(entry.recoveryPoint, latest.recoveryPoint))
      latest = { ...entry, recoveryPoint: entry.recoveryPoint };
  }
  return latest;
}

/** Why what a recovery point holds beside Qdrant is not restored or built on unless it is asked for by its id. */
export function quarantineOfFolders({ attestations }: Pick<CatalogEntry, "attestations">): string | undefined {
  return attestations.find(({ kind }) => kind === "folders-quarantined")?.detail;
}

/** Of two whose captures began at the same time, the one that was made later knows more. */
export function isNewer(
  a: Pick<RecoveryPoint, "startedAt" | "finishedAt">,
  b: Pick<RecoveryPoint, "startedAt" | "finishedAt">,
): boolean {
  const [begunA, begunB] = [Date.parse(a.startedAt), Date.parse(b.startedAt)];
  return begunA === begunB ? Date.parse(a.finishedAt) > Date.parse(b.finishedAt) : begunA > begunB;
}

function lacks(recoveryPoint: RecoveryPoint, collections: readonly string[]): boolean {
  const lacked = [...lackedCollections(recoveryPoint), ...(recoveryPoint.excluded ?? [])];
  return collections.some((name) => lacked.includes(name));
}

export function holds(recoveryPoint: RecoveryPoint, kinds: readonly DataKind[]): boolean {
  return kinds.every((kind) => recoveryPoint.kinds.includes(kind));
}
