/**
 * Brings recovery points into another region's bucket: packs, then trees and facts, then the manifest; the keys first of all. What
 * is there already is not sent again. A recovery point counts as copied when the destination's own catalog calls it complete.
 */
import { forEachConcurrently } from "../async/for-each-concurrently.ts";
import { decideKept } from "../domain/history/decide-kept.ts";
import { type Retention, usualRetention } from "../domain/history/retention.ts";
import { type CatalogEntry, objectsOf, type RecoveryPointState } from "../domain/recovery-points/catalog.ts";
import { keysOf, type RecoveryPoint, repositorySchema } from "../domain/recovery-points/recovery-point.ts";
import { controlLayout, parseStoreKey, storeLayout } from "../domain/recovery-points/store-layout.ts";
import type { Region } from "../domain/region.ts";
import { DrError } from "../errors.ts";
import type { Clock } from "../ports/clock.ts";
import type { KeyWrap } from "../ports/key-wrap.ts";
import type { Progress } from "../ports/progress.ts";
import { BucketView } from "../repository/catalog/bucket-view.ts";
import { keepSessionAlive, signalSession } from "../repository/catalog/capture-session.ts";
import { ContentPresence } from "../repository/catalog/content-presence.ts";
import { type Catalog, readCatalog } from "../repository/catalog/read-catalog.ts";
import { checkObject } from "../repository/content/check-object.ts";
import { KeyRing } from "../repository/content/key-ring.ts";
import { refuseOtherPack } from "../repository/content/named-pack.ts";
import { objectsNeeded, packsOf } from "../repository/content/objects-needed.ts";
import { CandidateMaker } from "../repository/prune/candidates.ts";
import { lookAtPrunes, refusePruned } from "../repository/prune/prune-sight.ts";
import { createRecord, getWhole } from "../repository/record.ts";
import { OpenRepository, type RegionStores } from "../repository/repository.ts";

const objectsAtOnce = 4;

export interface CopyReport {
  readonly copied: readonly string[];
  /** Recovery points of the source that are not complete there, and so cannot be copied. */
  readonly skipped: readonly string[];
  /** How many the destination's retention does not want. */
  readonly unwanted: number;
  readonly objects: number;
  readonly bytes: number;
}

export async function copyRecoveryPoints(
  from: OpenRepository,
  to: { readonly stores: RegionStores; readonly wrap: KeyWrap; readonly region?: Pick<Region, "retention"> },
  progress: Progress,
  clock: Clock,
): Promise<CopyReport> {
  const destination = await openDestination(from, to);
  const prunes = await lookAtPrunes(destination.stores.control);
  const source = await readCatalog(from);
  const { entries } = await readCatalog(destination);
  const isWanted = wantedBy(to.region?.retention ?? usualRetention, [...entries, ...source.entries], source, clock);
  const states = new Map(entries.map(({ id, state }) => [id, state]));
  const present = new ContentPresence(destination);
  const believed = await namedBy(destination, entries);
  const copied: string[] = [];
  const skipped: string[] = [];
  let unwanted = 0;
  let objects = 0;
  let bytes = 0;
  for (const { id, recoveryPoint, state } of source.entries) {
    if (isCopied(states.get(id))) continue;
    if (state !== "complete" || recoveryPoint === undefined) {
      skipped.push(id);
      continue;
    }
    // What was pruned there, or would be, is not brought again.
    if (!isWanted(id)) {
      unwanted += 1;
      continue;
    }
    progress({ step: "copy", detail: id });
    const brought = await announced(destination, id, clock, () =>
      copyOne(from, destination, recoveryPoint, present, believed),
    );
    objects += brought.objects;
    bytes += brought.bytes;
    copied.push(id);
    // What is removed now is brought again by the next copy, which sees that the recovery point lacks it.
    await refusePruned(destination.stores.control, prunes, () => objectsNeeded(from, recoveryPoint));
  }
  await confirm(destination, copied);
  return { copied, skipped, unwanted, objects, bytes };
}

/** A prune spares what is stored for a recovery point whose manifest is not there yet, as long as signs of life are given. */
async function announced<T>(to: OpenRepository, id: string, clock: Clock, act: () => Promise<T>): Promise<T> {
  await signalSession(to, id, clock.now());
  const stopSigns = keepSessionAlive(to, id, () => clock.now());
  try {
    return await act();
  } finally {
    stopSigns();
  }
}

/**
 * @param present what is in the destination.
 * @param believed what recovery points of the destination name, and was looked at when these came.
 */
async function copyOne(
  from: OpenRepository,
  to: OpenRepository,
  recoveryPoint: RecoveryPoint,
  present: ContentPresence,
  believed: Set<string>,
): Promise<{ readonly objects: number; readonly bytes: number }> {
  await copyKeys(from, to, recoveryPoint);
  const needed = [...objectsOf(recoveryPoint, await packsOf(from, recoveryPoint))];
  const there = await present.sizesOf(needed.map(([key]) => key));
  const missing = needed.filter(([key, size]) => !there.has(key) || there.get(key) !== (size ?? there.get(key)));
  const found = needed.flatMap(([key]) => (missing.some(([other]) => other === key) || believed.has(key) ? [] : [key]));
  await refuseOthers(to, found);
  for (const [key] of needed) believed.add(key);
  let bytes = 0;
  for (const kind of ["pack", "tree", "facts"] as const) {
    bytes += await copyObjects(
      from,
      to,
      missing.flatMap(([key]) => (parseStoreKey(key)?.kind === kind ? [key] : [])),
    );
  }
  await copyManifest(from, to, recoveryPoint);
  return { objects: missing.length, bytes };
}

/** What the newest complete recovery points name: the next ones name most of it again. */
async function namedBy(destination: OpenRepository, entries: readonly CatalogEntry[]): Promise<Set<string>> {
  const complete = entries.flatMap(({ recoveryPoint, state }) =>
    state === "complete" && recoveryPoint !== undefined ? [recoveryPoint] : [],
  );
  const named = new Set<string>();
  for (const recoveryPoint of complete.sort((a, b) => (a.id < b.id ? 1 : -1)).slice(0, newestLookedAt)) {
    for (const key of await objectsNeeded(destination, recoveryPoint)) named.add(key);
  }
  return named;
}

const newestLookedAt = 3;

/** What stands in the destination and no recovery point there names may have been put there by somebody else, of the right size. */
async function refuseOthers(to: OpenRepository, keys: readonly string[]): Promise<void> {
  const { repository } = to.stores;
  await forEachConcurrently(objectsAtOnce, keys, async (key) => {
    const parsed = parseStoreKey(key);
    if (parsed?.kind === "pack") await refuseOtherPack(repository, parsed.id);
    else await to.checkSealed(key, await getWhole(repository, key));
  });
}

/** Which of the source's recovery points retention keeps in the destination, beside what is there. */
function wantedBy(
  retention: Retention,
  entries: readonly CatalogEntry[],
  { epochs }: Pick<Catalog, "epochs">,
  clock: Clock,
): (id: string) => boolean {
  const maker = new CandidateMaker();
  const known = new Map(entries.flatMap((entry) => (entry.recoveryPoint === undefined ? [] : [[entry.id, entry]])));
  const candidates = [...known.values()].flatMap(({ attestations, recoveryPoint, state }) => {
    if (recoveryPoint === undefined) return [];
    const isQuarantined = state !== "complete" && state !== "deposed";
    const isVerified = attestations.some(({ kind }) => kind === "verified");
    return [maker.candidateOf(recoveryPoint, { epochs, isQuarantined, isVerified, heldBy: [] })];
  });
  const { kept } = decideKept(candidates, retention, clock.now());
  return (id) => kept.has(id);
}

/** What is quarantined or deposed there is there: a copy would change nothing. */
function isCopied(state: RecoveryPointState | undefined): boolean {
  return state === "complete" || state === "deposed" || state === "quarantined";
}

/** An empty destination becomes the same repository: same id, same key of its manifests. */
async function openDestination(
  from: OpenRepository,
  to: { stores: RegionStores; wrap: KeyWrap },
): Promise<OpenRepository> {
  await copyKey(from, to.stores, new KeyRing(to.stores.control, to.wrap), from.description.key);
  await createRecord(to.stores.repository, storeLayout.repository, repositorySchema, from.description);
  return OpenRepository.open(to.stores, to.wrap);
}

/** Of the recovery points only the manifests are sealed for one repository: for one that was begun by itself, they are sealed anew. */
async function copyManifest(from: OpenRepository, to: OpenRepository, recoveryPoint: RecoveryPoint): Promise<void> {
  if (to.description.id === from.description.id) await copyObjects(from, to, [storeLayout.manifest(recoveryPoint.id)]);
  else await to.createRecoveryPoint(recoveryPoint);
}

async function copyKeys(from: OpenRepository, to: OpenRepository, recoveryPoint: RecoveryPoint): Promise<void> {
  for (const key of keysOf(recoveryPoint)) {
    await copyKey(from, to.stores, to.keys, key);
    await to.keys.key(key);
  }
}

/** What does not open in the destination must not take the key's place there: it could never be replaced. */
async function copyKey(from: OpenRepository, to: RegionStores, ring: KeyRing, id: string): Promise<void> {
  const key = controlLayout.key(id);
  const wrapped = await getWhole(from.stores.control, key);
  await ring.open(id, wrapped);
  await to.control.create(key, wrapped);
}

async function copyObjects(from: OpenRepository, to: OpenRepository, keys: readonly string[]): Promise<number> {
  let bytes = 0;
  await forEachConcurrently(objectsAtOnce, keys, async (key) => {
    const object = await getWhole(from.stores.repository, key);
    // Nothing that is created can be replaced: what came is looked at first.
    await checkObject(from, key, object);
    await to.stores.repository.create(key, object);
    bytes += object.length;
  });
  return bytes;
}

/** Throws RECOVERY_POINT_INCOMPLETE unless the destination has everything that it copied. */
async function confirm(destination: OpenRepository, copied: readonly string[]): Promise<void> {
  if (copied.length === 0) return;
  const view = await BucketView.read(destination);
  for (const id of copied) {
    const { reasons, state } = await view.entry({ id, attestations: [] });
    if (state === "complete") continue;
    throw new DrError("RECOVERY_POINT_INCOMPLETE", `${id} was copied and is ${state}: ${reasons[0] ?? "no manifest"}`, {
      hint: "run `qdrant-dr copy` again",
    });
  }
}
