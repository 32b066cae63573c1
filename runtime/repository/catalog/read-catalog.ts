/** Reads the recovery points of a region's bucket: some of them, the newest that can be restored, one, or those to build on. */
import type { PruneSight } from "../../domain/recovery-points/capture-plan.ts";
import {
  type CatalogEntry,
  compareEntries,
  doubtIn,
  holds,
  leadsTo,
  type RestorableEntry,
  resolveLatestRestorable,
  type WantedContent,
} from "../../domain/recovery-points/catalog.ts";
import { believedTime, newestIdOf, placeInTime } from "../../domain/recovery-points/order.ts";
import { digestOf, type Finding, findingsAbout, standingQuarantine } from "../../domain/recovery-points/quarantine.ts";
import type { DataKind, RecoveryPoint } from "../../domain/recovery-points/recovery-point.ts";
import { storeLayout } from "../../domain/recovery-points/store-layout.ts";
import { type EpochRecord, isOfActiveRegion } from "../../domain/roles/epoch.ts";
import { lookAtPrunes, openPlan } from "../prune/prune-sight.ts";
import type { ReportUnreadable } from "../record.ts";
import type { OpenRepository } from "../repository.ts";
import { whenReadable } from "../when-readable.ts";
import { attestationsOf, readAttestations } from "./attestations.ts";
import { BucketView } from "./bucket-view.ts";
import { ContentPresence } from "./content-presence.ts";
import { listOne } from "./listed-recovery-points.ts";

export interface Catalog {
  /** The oldest first; those whose manifests cannot be read come before all. */
  readonly entries: readonly CatalogEntry[];
  /** There are older ones, which were not read. */
  readonly hasMore: boolean;
  readonly epochs: readonly EpochRecord[];
  /** Keys of records beside the recovery points that could not be read, and were not obeyed. */
  readonly unreadable: readonly string[];
}

export interface CatalogBounds {
  /** How many of the newest are read; all when left out. */
  readonly most?: number;
  /** How many of the objects that they name are asked for; all when left out. */
  readonly mostQuestions?: number;
}

/** Reads and judges recovery points, the newest ones. */
export async function readCatalog(repository: OpenRepository, bounds: CatalogBounds = {}): Promise<Catalog> {
  const { most = Number.POSITIVE_INFINITY, mostQuestions } = bounds;
  const unreadable: string[] = [];
  const reportUnreadable: ReportUnreadable = (key) => unreadable.push(key);
  const presence = new ContentPresence(repository, mostQuestions);
  const view = await BucketView.read(repository, reportUnreadable, presence);
  const entries: CatalogEntry[] = [];
  let hasMore = false;
  for await (const listed of view.newestFirst()) {
    hasMore = entries.length >= most;
    if (hasMore) break;
    entries.push(await view.entry(listed));
  }
  entries.sort(compareEntries);
  return { entries, hasMore, epochs: view.epochs, unreadable };
}

/** The recovery point of this id, judged; undefined when there is none. */
export async function readEntry(repository: OpenRepository, id: string): Promise<CatalogEntry | undefined> {
  const view = await BucketView.read(repository);
  const listed = await view.find(id);
  return listed && view.entry(listed);
}

/** An id follows those in its bucket: one of a wrong clock may be of a later time than its capture by so much. */
const idsAheadMs = 48 * 3_600_000;

/**
 * The newest complete recovery point that holds what is wanted, and where none holds the collections, the newest without them, so that
 * whoever asks is told which it lacks. Only those of which that is not known by their times alone are read.
 */
export async function readNewestHolding(
  repository: OpenRepository,
  wanted: WantedContent,
): Promise<RestorableEntry | undefined> {
  const { broughtTo, fits = () => true, kinds = ["qdrant"], until } = wanted;
  const view = await BucketView.read(repository);
  let without: RestorableEntry | undefined;
  for await (const listed of view.newestFirst()) {
    if (until !== undefined && placeInTime(listed) > until.getTime() + idsAheadMs) continue;
    const isWanted = (each: RecoveryPoint) => holds(each, kinds) && leadsTo(each, broughtTo) && fits(each);
    const entry = await view.entry(listed, isWanted);
    const found = resolveLatestRestorable([entry], { ...wanted, mustHold: true });
    if (found !== undefined) return found;
    without ??= resolveLatestRestorable([entry], wanted);
  }
  return without;
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
 * @param mostQuestions how many of the objects that they name are asked for; all when left out.
 * @returns with it how many recovery points were looked at, and where none is complete, what the newest lacks.
 */
export async function readNewestRecoveryPoint(
  repository: OpenRepository,
  now: Date,
  { mostQuestions }: Pick<CatalogBounds, "mostQuestions"> = {},
): Promise<{
  readonly newest: (RestorableEntry & BelievedAge) | undefined;
  readonly listed: number;
  readonly wanting?: string | undefined;
}> {
  const view = await BucketView.read(repository, undefined, new ContentPresence(repository, mostQuestions));
  let listed = 0;
  let newest: (RestorableEntry & Pick<BelievedAge, "doubt">) | undefined;
  let wanting: string | undefined;
  for await (const each of view.newestFirst()) {
    listed += 1;
    const entry = await view.entry(each, (recoveryPoint) => holds(recoveryPoint, ["qdrant"]));
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

/** Whether it is known to be one that nothing is restored from; its manifest may be gone. */
export async function isQuarantined(repository: OpenRepository, recoveryPointId: string): Promise<boolean> {
  const store = repository.stores.repository;
  const found = await readAttestations(store, await attestationsOf(store, recoveryPointId));
  if (standingQuarantine(found, "quarantined") === undefined) return false;
  const recoveryPoint = await whenReadable(repository.readRecoveryPoint(recoveryPointId));
  if (recoveryPoint === undefined) return true;
  const listed = await listOne(store, recoveryPointId);
  return isQuarantinedAs({ recoveryPoint, storedAt: listed?.storedAt }, found, "quarantined");
}

function isQuarantinedAs(
  { recoveryPoint, storedAt }: { readonly recoveryPoint: RecoveryPoint; readonly storedAt: Date | undefined },
  found: readonly Finding[],
  as: "quarantined" | "folders-quarantined",
): boolean {
  const about = findingsAbout(recoveryPoint, found, { digest: digestOf(recoveryPoint), storedAt });
  return standingQuarantine(about, as) !== undefined;
}

/** What a capture builds on. */
export interface CaptureBase {
  /**
   * The newest recovery point of an active region that is not quarantined and holds `kind`; whether all its objects are there is not
   * judged here: the capture looks at each tree that it builds on.
   */
  readonly recoveryPoints: ReadonlyMap<DataKind, RecoveryPoint>;
  /** The id that the next one has to come after. */
  readonly newestId: string | undefined;
  readonly presence: ContentPresence;
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
  let newestId: string | undefined;
  const onListed = (ids: readonly string[]) => {
    newestId = newestIdOf([...ids, ...(newestId === undefined ? [] : [newestId])]);
  };
  for await (const listed of view.newestFirst({ onListed })) {
    if (newestId !== undefined && kinds.every((kind) => recoveryPoints.has(kind))) break;
    if (dropped?.has(listed.id)) continue;
    const recoveryPoint = await whenReadable(repository.readRecoveryPoint(listed.id));
    if (recoveryPoint === undefined) reportUnreadable(storeLayout.manifest(listed.id));
    if (recoveryPoint === undefined || !isOfActiveRegion(recoveryPoint, view.epochs)) continue;
    if (recoveryPoint.imported !== undefined) continue;
    const found = await readAttestations(repository.stores.repository, listed.attestations, reportUnreadable);
    const kept = { recoveryPoint, storedAt: listed.storedAt };
    if (isQuarantinedAs(kept, found, "quarantined")) continue;
    const areFoldersBad = isQuarantinedAs(kept, found, "folders-quarantined");
    for (const kind of recoveryPoint.kinds) {
      if (recoveryPoints.has(kind) || (areFoldersBad && kind !== "qdrant")) continue;
      recoveryPoints.set(kind, recoveryPoint);
    }
  }
  return { recoveryPoints, newestId, presence: view.presence, epochs: view.epochs, prunes };
}
