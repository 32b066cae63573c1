/**
 * Brings recovery points into another region's bucket: packs, then trees and facts, then the manifest; the keys first of all. What
 * is there already is not sent again. The newest comes first. A recovery point counts as copied when the destination's own catalog calls it complete.
 */
import { forEachConcurrently } from "../../async/for-each-concurrently.ts";
import { type LockEnd, lockEndBy } from "../../domain/history/lock-end.ts";
import { usualRetention } from "../../domain/history/retention.ts";
import { objectsOf, type RecoveryPointState } from "../../domain/recovery-points/catalog.ts";
import { keysOf, type RecoveryPoint, repositorySchema } from "../../domain/recovery-points/recovery-point.ts";
import { parseStoreKey, storeLayout } from "../../domain/recovery-points/store-layout.ts";
import type { Region } from "../../domain/region.ts";
import { DrError } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { KeyWrap } from "../../ports/key-wrap.ts";
import type { Progress } from "../../ports/progress.ts";
import { BucketView } from "../../repository/catalog/bucket-view.ts";
import { keepSessionAlive, signalSession } from "../../repository/catalog/capture-session.ts";
import { ContentPresence } from "../../repository/catalog/content-presence.ts";
import { checkObject } from "../../repository/content/check-object.ts";
import { KeyRing } from "../../repository/content/key-ring.ts";
import { lockNeeded, lockObject } from "../../repository/content/lock-recovery-point.ts";
import { refuseOtherPack } from "../../repository/content/named-pack.ts";
import { objectsNeeded, packsOf } from "../../repository/content/objects-needed.ts";
import { lookAtPrunes, refusePruned } from "../../repository/prune/prune-sight.ts";
import { createRecord, getWhole } from "../../repository/record.ts";
import { keyIdOf, OpenRepository, type RegionStores } from "../../repository/repository.ts";
import { CopyPlan } from "./plan-copy.ts";

const objectsAtOnce = 4;
const readAtOnce = 16;

export interface CopyReport {
  readonly copied: readonly string[];
  /** Recovery points of the source that would be wanted and are not complete there, and so cannot be copied. */
  readonly skipped: readonly string[];
  /** How many the destination's retention does not want. */
  readonly unwanted: number;
  readonly objects: number;
  readonly bytes: number;
}

export interface CopyDestination {
  readonly stores: RegionStores;
  readonly wrap: KeyWrap;
  readonly region?: Pick<Region, "retention">;
}

export async function copyRecoveryPoints(
  from: OpenRepository,
  to: CopyDestination,
  progress: Progress,
  clock: Clock,
  { since }: { readonly since?: Date | undefined } = {},
): Promise<CopyReport> {
  const retention = to.region?.retention ?? usualRetention;
  const destination = (await openDestination(from, to)).lockedBy({ retention, clock });
  const prunes = await lookAtPrunes(destination.stores.control);
  const views = { source: await BucketView.read(from), destination: await BucketView.read(destination) };
  const plan = await CopyPlan.make({ ...views, retention, since, now: clock.now() });
  const copier = new Copier(from, destination, await namedBy(destination, views.destination, plan));
  /** What may be copied, of those that were read. */
  const copiable = new Map<string, RecoveryPoint>();
  const copied: string[] = [];
  const skipped: string[] = [];
  let objects = 0;
  let bytes = 0;
  for (;;) {
    const wanted = plan.wanted();
    const unread = wanted.filter((id) => !plan.isRead(id)).slice(0, readAtOnce);
    await forEachConcurrently(readAtOnce, unread, async (id) => {
      const { inDestination, inSource } = plan.listed(id);
      const there = inDestination && (await views.destination.entry(inDestination));
      if (inSource === undefined || isCopied(there?.state)) {
        plan.learn(there ?? { id, state: "unreadable", reasons: [], attestations: [] });
        return;
      }
      const entry = await views.source.entry(inSource);
      plan.learn(entry);
      if (entry.state === "complete" && entry.recoveryPoint !== undefined) copiable.set(id, entry.recoveryPoint);
      else skipped.push(id);
    });
    for (const id of plan.wanted()) {
      // The newest first: what may be kept and is newer is read before this is copied.
      if (!plan.isRead(id)) break;
      const recoveryPoint = copiable.get(id);
      if (recoveryPoint === undefined) continue;
      copiable.delete(id);
      progress({ step: "copy", detail: id });
      const brought = await announced(destination, id, clock, () =>
        copier.copy(recoveryPoint, lockEndBy(retention, plan.wantedUntil(id), clock.now())),
      );
      objects += brought.objects;
      bytes += brought.bytes;
      copied.push(id);
      // What is removed now is brought again by the next copy, which sees that the recovery point lacks it.
      await refusePruned(destination.stores.control, prunes, () => objectsNeeded(from, recoveryPoint));
    }
    if (unread.length === 0) break;
  }
  await confirm(destination, copied);
  // Of those that were read some turned out to add nothing.
  return { copied, skipped, unwanted: plan.unwanted() + copiable.size, objects, bytes };
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

class Copier {
  readonly #from: OpenRepository;
  readonly #to: OpenRepository;
  /** What is in the destination. */
  readonly #present: ContentPresence;
  /** What recovery points of the destination name, and was looked at when these came. */
  readonly #believed: Set<string>;

  constructor(from: OpenRepository, to: OpenRepository, believed: Set<string>) {
    this.#from = from;
    this.#to = to;
    this.#present = new ContentPresence(to);
    this.#believed = believed;
  }

  /** @param end until when the destination locks it. */
  async copy(
    recoveryPoint: RecoveryPoint,
    end: LockEnd,
  ): Promise<{ readonly objects: number; readonly bytes: number }> {
    const [from, to] = [this.#from, this.#to];
    await copyKeys(from, to, recoveryPoint);
    const needed = [...objectsOf(recoveryPoint, await packsOf(from, recoveryPoint))];
    const there = await this.#present.sizesOf(needed.map(([key]) => key));
    const missing = new Set(
      needed.flatMap(([key, size]) => (!there.has(key) || there.get(key) !== (size ?? there.get(key)) ? [key] : [])),
    );
    await refuseOthers(
      to,
      needed.flatMap(([key]) => (missing.has(key) || this.#believed.has(key) ? [] : [key])),
    );
    for (const [key] of needed) this.#believed.add(key);
    let bytes = 0;
    for (const kind of ["pack", "tree", "facts"] as const) {
      const ofKind = [...missing].filter((key) => parseStoreKey(key)?.kind === kind);
      bytes += await copyObjects(from, to, ofKind, end.extended);
    }
    await copyManifest(from, to, recoveryPoint, await lockNeeded(to, recoveryPoint, end));
    return { objects: missing.size, bytes };
  }
}

/** What the newest complete recovery points name: the next ones name most of it again. */
async function namedBy(destination: OpenRepository, view: BucketView, plan: CopyPlan): Promise<Set<string>> {
  const named = new Set<string>();
  for (const listed of plan.newestThere(newestLookedAt)) {
    const { recoveryPoint, state } = await view.entry(listed);
    if (state !== "complete" || recoveryPoint === undefined) continue;
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

/** What is quarantined or deposed there is there: a copy would change nothing. */
function isCopied(state: RecoveryPointState | undefined): boolean {
  return state === "complete" || state === "deposed" || state === "quarantined";
}

/** An empty destination becomes the same repository: same id, same key of its manifests. */
async function openDestination(
  from: OpenRepository,
  to: { stores: RegionStores; wrap: KeyWrap },
): Promise<OpenRepository> {
  await new KeyRing(to.stores.control, to.wrap).adopt(await from.keys.key(from.description.key));
  await createRecord(to.stores.repository, storeLayout.repository, repositorySchema, from.description);
  return OpenRepository.open(to.stores, to.wrap);
}

/** Of the recovery points only the manifests are sealed for one repository: for one that was begun by itself, they are sealed anew. */
async function copyManifest(
  from: OpenRepository,
  to: OpenRepository,
  recoveryPoint: RecoveryPoint,
  end: Pick<LockEnd, "extended" | "needed"> | undefined,
): Promise<void> {
  if (to.description.id !== from.description.id) return to.commitRecoveryPoint(recoveryPoint, end);
  const place = storeLayout.manifest(recoveryPoint.id);
  const object = await getWhole(from.stores.repository, place);
  await checkObject(from, place, object);
  // Of another generation perhaps than any that is there.
  await to.keys.adopt(await from.keys.key(keyIdOf(object)));
  await to.stores.repository.create(place, object, undefined, end?.extended);
  const locks = await to.stores.repository.locks?.();
  if (locks !== undefined && end !== undefined) await lockObject(locks, place, end);
}

async function copyKeys(from: OpenRepository, to: OpenRepository, recoveryPoint: RecoveryPoint): Promise<void> {
  for (const key of keysOf(recoveryPoint)) await to.keys.adopt(await from.keys.key(key));
}

async function copyObjects(
  from: OpenRepository,
  to: OpenRepository,
  keys: readonly string[],
  lockedUntil: Date,
): Promise<number> {
  let bytes = 0;
  await forEachConcurrently(objectsAtOnce, keys, async (key) => {
    const object = await getWhole(from.stores.repository, key);
    // Nothing that is created can be replaced: what came is looked at first.
    await checkObject(from, key, object);
    await to.stores.repository.create(key, object, undefined, lockedUntil);
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
