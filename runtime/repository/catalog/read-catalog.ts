/** Reads the recovery points of a region's bucket: all of them, the newest that can be restored, or those to build on. */
import type { PruneSight } from "../../domain/recovery-points/capture-plan.ts";
import {
  type CatalogEntry,
  compareEntries,
  doubtIn,
  type Inventory,
  type RestorableEntry,
  resolveLatestRestorable,
} from "../../domain/recovery-points/catalog.ts";
import { believedTime } from "../../domain/recovery-points/order.ts";
import type { DataKind, RecoveryPoint } from "../../domain/recovery-points/recovery-point.ts";
import { storeLayout } from "../../domain/recovery-points/store-layout.ts";
import type { Pack } from "../../domain/recovery-points/stored-content.ts";
import { type EpochRecord, isOfActiveRegion } from "../../domain/roles/epoch.ts";
import { lookAtPrunes, openPlan } from "../prune/prune-sight.ts";
import { keysUnder, type ReportUnreadable } from "../record.ts";
import type { OpenRepository } from "../repository.ts";
import { whenReadable } from "../when-readable.ts";
import { BucketView } from "./bucket-view.ts";

export interface Catalog {
  /** The oldest first; those whose manifests cannot be read come before all. */
  readonly entries: readonly CatalogEntry[];
  readonly inventory: Inventory;
  readonly epochs: readonly EpochRecord[];
  /** Keys of records beside the recovery points that could not be read, and were not obeyed. */
  readonly unreadable: readonly string[];
}

/** Reads and judges every recovery point. */
export async function readCatalog(repository: OpenRepository): Promise<Catalog> {
  const unreadable: string[] = [];
  const reportUnreadable: ReportUnreadable = (key) => unreadable.push(key);
  const view = await BucketView.read(repository, reportUnreadable);
  const packs = new Map<string, readonly Pack[]>();
  const entries: CatalogEntry[] = [];
  for (const id of view.listed) entries.push(await view.entry(id, packs, reportUnreadable));
  entries.sort(compareEntries);
  return { entries, inventory: view.inventory, epochs: view.epochs, unreadable };
}

/** Everything acknowledged before `asOf` is in a recovery point, by times that can be believed. */
export interface BelievedAge {
  readonly asOf: Date;
  /** Why the time in the recovery point itself does not count. */
  readonly doubt?: string | undefined;
}

/** No time that can be believed is known. */
export const never = new Date(0);

/**
 * Finds the recovery point that `resolveLatestRestorable` finds in the whole catalog, and reads only those that are newer than
 * it: failovers and `status` wait for this. A region that is watched again and again has `NewestRecoveryPointsReader`.
 * @returns with it how many recovery points are listed, and where none is complete, what the newest lacks.
 */
export async function readNewestRecoveryPoint(
  repository: OpenRepository,
  now: Date,
): Promise<{
  readonly newest: (RestorableEntry & BelievedAge) | undefined;
  readonly listed: number;
  readonly wanting?: string | undefined;
}> {
  const view = await BucketView.read(repository);
  const listed = view.listed.length;
  const packs = new Map<string, readonly Pack[]>();
  let newest: (RestorableEntry & Pick<BelievedAge, "doubt">) | undefined;
  let wanting: string | undefined;
  for (const id of view.newestFirst()) {
    const entry = await view.entry(id, packs);
    const restorable = resolveLatestRestorable([entry]);
    if (restorable === undefined) {
      wanting ??= wantingOf(entry);
      continue;
    }
    newest ??= { ...restorable, doubt: doubtIn(restorable, now) };
    // What it holds is as new as that of any older one: its age counts where its own time does not.
    const asOf = believedTime(restorable.recoveryPoint.time, { now, storedAt: restorable.storedAt });
    if (asOf !== undefined) return { newest: { ...newest, asOf }, listed };
  }
  return { newest: newest && { ...newest, asOf: never }, listed, wanting: newest === undefined ? wanting : undefined };
}

/** Why a recovery point is not one from which Qdrant can be restored. */
export function wantingOf({ id, reasons, recoveryPoint }: CatalogEntry): string {
  return `${id}: ${reasons[0] ?? `it holds ${recoveryPoint?.kinds.join(", ")}`}`;
}

/** By the keys alone: one that cannot be read says it, too. */
export async function isQuarantined({ stores }: OpenRepository, recoveryPointId: string): Promise<boolean> {
  const quarantines = storeLayout.attestation(recoveryPointId, "quarantined", "");
  return (await keysUnder(stores.repository, quarantines)).length > 0;
}

/** What a capture builds on. */
export interface CaptureBase {
  /**
   * The newest recovery point of an active region that is not quarantined and holds `kind`; whether all its objects are there is not
   * judged here: the capture looks at each tree that it builds on.
   */
  readonly recoveryPoints: ReadonlyMap<DataKind, RecoveryPoint>;
  /** Ids of all recovery points that are listed. */
  readonly listed: ReadonlySet<string>;
  readonly inventory: Inventory;
  readonly epochs: readonly EpochRecord[];
  /** What was known of prunes before the repository was looked at. */
  readonly prunes: PruneSight;
}

/** Reads as many manifests as it takes to find a base for each kind: usually one. */
export async function readCaptureBase(
  repository: OpenRepository,
  kinds: readonly DataKind[],
  reportUnreadable: ReportUnreadable,
): Promise<CaptureBase> {
  const { control } = repository.stores;
  const prunes = await lookAtPrunes(control);
  const plan = await openPlan(control, prunes);
  const [view, dropped] = await Promise.all([
    BucketView.read(repository, reportUnreadable),
    // Nothing is built on what will be gone. A plan that cannot be read drops nothing.
    plan && whenReadable(plan.droppedIds()),
    // Asked for meanwhile: every manifest and tree needs it.
    repository.keys.key(repository.description.key),
  ]);
  const recoveryPoints = new Map<DataKind, RecoveryPoint>();
  for (const id of view.newestFirst()) {
    if (kinds.every((kind) => recoveryPoints.has(kind))) break;
    if (dropped?.has(id) || view.hasAttestation(id, "quarantined")) continue;
    const recoveryPoint = await whenReadable(repository.readRecoveryPoint(id));
    if (recoveryPoint === undefined) reportUnreadable(storeLayout.manifest(id));
    if (recoveryPoint === undefined || !isOfActiveRegion(recoveryPoint, view.epochs)) continue;
    if (recoveryPoint.imported !== undefined) continue;
    const areFoldersBad = view.hasAttestation(id, "folders-quarantined");
    for (const kind of recoveryPoint.kinds) {
      if (recoveryPoints.has(kind) || (areFoldersBad && kind !== "qdrant")) continue;
      recoveryPoints.set(kind, recoveryPoint);
    }
  }
  const { epochs, inventory, listed } = view;
  return { recoveryPoints, listed: new Set(listed), inventory, epochs, prunes };
}
