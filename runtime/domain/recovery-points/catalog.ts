/** Which recovery points can be restored from a bucket: one answer, from what was asked of that bucket. */
import type { EpochRecord } from "../roles/epoch.ts";
import { isOfActiveRegion } from "../roles/epoch.ts";
import { lackedCollections } from "./missing.ts";
import { believedTime, compareAge, doubtOf, type ListedRecoveryPoint } from "./order.ts";
import { standingQuarantine } from "./quarantine.ts";
import { type Attestation, capturesOf, type DataKind, type RecoveryPoint } from "./recovery-point.ts";
import { storeLayout } from "./store-layout.ts";
import type { Pack } from "./stored-content.ts";

/** Sizes of objects by their keys. What was not asked for may be there or not. */
export type Inventory = ReadonlyMap<string, number | "not asked">;

export type RecoveryPointState = "complete" | "incomplete" | "deposed" | "quarantined" | "unreadable";

export interface CatalogEntry {
  readonly id: string;
  readonly state: RecoveryPointState;
  /** Why the state is not `complete`; empty otherwise. */
  readonly reasons: readonly string[];
  /** Absent when the manifest could not be read. */
  readonly recoveryPoint?: RecoveryPoint;
  readonly attestations: readonly Attestation[];
  /** How many of the objects that it names were not asked for; 0 when left out. */
  readonly unasked?: number;
  /** When its manifest was stored, by the bucket's clock, where that is told. */
  readonly storedAt?: Date | undefined;
}

/** The packs that each tree names, by the tree's id. */
export type TreePacks = ReadonlyMap<string, readonly Pack[]>;

/** The objects a recovery point needs, with the sizes they must have. Facts are of any size: they open as what is named, or not at all. */
export function objectsOf(recoveryPoint: RecoveryPoint, packs: TreePacks): Map<string, number | undefined> {
  const objects = new Map<string, number | undefined>();
  for (const { facts } of recoveryPoint.collections) objects.set(storeLayout.collectionFacts(facts), undefined);
  for (const { tree } of capturesOf(recoveryPoint)) {
    objects.set(storeLayout.tree(tree.id), tree.size);
    for (const pack of packs.get(tree.id) ?? []) objects.set(storeLayout.pack(pack.id), pack.size);
  }
  return objects;
}

/**
 * Complete means: every object it names is there with the right size, and its region was active when it was made. What was not asked for
 * counts as there, and is counted.
 */
export function judgeRecoveryPoint(
  recoveryPoint: RecoveryPoint,
  evidence: {
    readonly inventory: Inventory;
    readonly packs: TreePacks;
    /** Trees that were not asked for. */
    readonly unasked?: ReadonlySet<string>;
    readonly epochs: readonly EpochRecord[];
    readonly attestations: readonly Attestation[];
  },
): CatalogEntry {
  const { attestations, epochs, inventory, packs, unasked = new Set() } = evidence;
  const needed = [...objectsOf(recoveryPoint, packs)];
  const entry = {
    id: recoveryPoint.id,
    recoveryPoint,
    attestations,
    unasked: needed.filter(([key]) => inventory.get(key) === "not asked").length + unasked.size,
  };
  const missing = needed.flatMap(([key, size]) => {
    const found = inventory.get(key);
    if (found === "not asked") return [];
    if (found === undefined) return [`${key} is missing`];
    return found === (size ?? found) ? [] : [`${key} has ${found} bytes instead of ${size}`];
  });
  const unread = capturesOf(recoveryPoint)
    .filter(({ tree }) => !packs.has(tree.id) && !unasked.has(tree.id))
    .map(({ tree }) => `${storeLayout.tree(tree.id)} cannot be read`);
  if (missing.length + unread.length > 0) {
    return { ...entry, state: "incomplete", reasons: [...new Set([...missing, ...unread])] };
  }
  const quarantine = standingQuarantine(attestations, "quarantined");
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
  /** Qdrant alone when left out. */
  readonly kinds?: readonly DataKind[] | undefined;
  /** A recovery point that says that it lacks one of them is passed over. */
  readonly collections?: readonly string[] | undefined;
  /** A journal leads from it to this time. */
  readonly broughtTo?: Date | undefined;
}

/** What a recovery point must be, to be the newest. */
export interface WantedContent extends Wanted {
  /** It holds all of the collections: one that was dropped before is in none since. */
  readonly mustHold?: boolean | undefined;
  /** Its capture began then or earlier. */
  readonly until?: Date | undefined;
  /** What else it has to be. */
  readonly fits?: ((recoveryPoint: RecoveryPoint) => boolean) | undefined;
}

/** Whether it is restored when it is asked for by its id: one that is quarantined only by who says that it is to be so all the same. */
export function isRestoredByName(entry: CatalogEntry, althoughQuarantined = false): entry is RestorableEntry {
  const isFit = entry.state === "complete" || (althoughQuarantined && entry.state === "quarantined");
  return isFit && entry.recoveryPoint !== undefined;
}

export type RestorableEntry = CatalogEntry & { readonly recoveryPoint: RecoveryPoint };

/**
 * The newest complete recovery point that holds what is wanted and was captured, not imported: the one whose capture began last, at or before
 * `until`. What a capture did not read
 * is older in it (`time`), as its tier says. The only function that may answer this.
 */
export function resolveLatestRestorable(
  entries: readonly CatalogEntry[],
  { broughtTo, collections = [], kinds = ["qdrant"], fits, mustHold = false, until }: WantedContent = {},
): RestorableEntry | undefined {
  let latest: RestorableEntry | undefined;
  for (const entry of entries) {
    const { recoveryPoint, storedAt } = entry;
    if (entry.state !== "complete" || recoveryPoint === undefined || !holds(recoveryPoint, kinds)) continue;
    if (recoveryPoint.imported !== undefined || fits?.(recoveryPoint) === false) continue;
    if (mustHold && !collections.every((name) => recoveryPoint.collections.some((each) => each.name === name)))
      continue;
    if (quarantineOfFolders(entry) !== undefined && kinds.some((kind) => kind !== "qdrant")) continue;
    if (lacks(recoveryPoint, collections) || !leadsTo(recoveryPoint, broughtTo)) continue;
    // By the wanted time's own clock: what is not believed to have begun by then did not.
    if (until !== undefined && !isBegunBy(until, recoveryPoint.startedAt, storedAt)) continue;
    if (latest === undefined || isNewer(entry, latest)) latest = { ...entry, recoveryPoint };
  }
  return latest;
}

function isBegunBy(until: Date, startedAt: string, storedAt: Date | undefined): boolean {
  const begun = believedTime(startedAt, { storedAt, now: until });
  return begun !== undefined && begun <= until;
}

/** Why what a recovery point holds beside Qdrant is not restored or built on unless it is asked for by its id. */
export function quarantineOfFolders({ attestations }: Pick<CatalogEntry, "attestations">): string | undefined {
  return standingQuarantine(attestations, "folders-quarantined")?.detail;
}

function isNewer(a: CatalogEntry, b: CatalogEntry): boolean {
  return compareEntries(a, b) > 0;
}

/** For sorting, the older one first; what cannot be read comes before all else. */
export function compareEntries(a: CatalogEntry, b: CatalogEntry): number {
  if (a.recoveryPoint === undefined || b.recoveryPoint === undefined) {
    return Number(a.recoveryPoint !== undefined) - Number(b.recoveryPoint !== undefined);
  }
  return compareAge(listedAs(a, a.recoveryPoint), listedAs(b, b.recoveryPoint));
}

function listedAs({ id, storedAt }: CatalogEntry, { startedAt }: RecoveryPoint): ListedRecoveryPoint {
  return { id, storedAt, startedAt };
}

/** Why the times of a recovery point do not count as they are. */
export function doubtIn({ id, recoveryPoint, storedAt }: CatalogEntry, now: Date): string | undefined {
  return recoveryPoint && doubtOf(id, recoveryPoint.startedAt, { now, storedAt });
}

function lacks(recoveryPoint: RecoveryPoint, collections: readonly string[]): boolean {
  const lacked = [...lackedCollections(recoveryPoint), ...(recoveryPoint.excluded ?? [])];
  return collections.some((name) => lacked.includes(name));
}

/** Whether a journal can bring it to this time, as far as it says itself. */
export function leadsTo({ finishedAt, journal }: RecoveryPoint, time: Date | undefined): boolean {
  return time === undefined || (journal !== undefined && Date.parse(finishedAt) <= time.getTime());
}

export function holds(recoveryPoint: RecoveryPoint, kinds: readonly DataKind[]): boolean {
  return kinds.every((kind) => recoveryPoint.kinds.includes(kind));
}
