/**
 * Brings recovery points into another region's bucket: packs, then trees, then the manifest; the keys first of all. What
 * is there already is not sent again. A recovery point counts as copied when the destination's own catalog calls it complete.
 */
import { createHash } from "node:crypto";
import { forEachConcurrently } from "../async/for-each-concurrently.ts";
import { objectsOf, type RecoveryPointState, type TreePacks } from "../domain/recovery-points/catalog.ts";
import { capturesOf, keysOf, type RecoveryPoint, repositorySchema } from "../domain/recovery-points/recovery-point.ts";
import { controlLayout, parseStoreKey, storeLayout } from "../domain/recovery-points/store-layout.ts";
import { type Pack, treePacksSchema } from "../domain/recovery-points/stored-content.ts";
import { DrError } from "../errors.ts";
import type { KeyWrap } from "../ports/key-wrap.ts";
import type { Progress } from "../ports/progress.ts";
import { BucketView } from "../repository/catalog/bucket-view.ts";
import { readCatalog } from "../repository/catalog/read-catalog.ts";
import { KeyRing } from "../repository/content/key-ring.ts";
import { createRecord } from "../repository/record.ts";
import { OpenRepository, type RegionStores } from "../repository/repository.ts";

const objectsAtOnce = 4;

export interface CopyReport {
  readonly copied: readonly string[];
  /** Recovery points of the source that are not complete there, and so cannot be copied. */
  readonly skipped: readonly string[];
  readonly objects: number;
  readonly bytes: number;
}

export async function copyRecoveryPoints(
  from: OpenRepository,
  to: { readonly stores: RegionStores; readonly wrap: KeyWrap },
  progress: Progress,
): Promise<CopyReport> {
  const destination = await openDestination(from, to);
  const source = await readCatalog(from);
  const { entries, inventory } = await readCatalog(destination);
  const states = new Map(entries.map(({ id, state }) => [id, state]));
  // Listed once: after that, nothing is missing that this copy has brought.
  const present = new Map(inventory);
  const copied: string[] = [];
  const skipped: string[] = [];
  let objects = 0;
  let bytes = 0;
  for (const { id, recoveryPoint, state } of source.entries) {
    if (isCopied(states.get(id))) continue;
    if (state !== "complete" || recoveryPoint === undefined) {
      skipped.push(id);
      continue;
    }
    progress({ step: "copy", detail: id });
    await copyKeys(from, destination, recoveryPoint);
    const missing = [...objectsOf(recoveryPoint, await packsOf(from, recoveryPoint))].filter(
      ([key, size]) => present.get(key) !== size,
    );
    for (const kind of ["pack", "tree"] as const) {
      const keys = missing.flatMap(([key]) => (parseStoreKey(key)?.kind === kind ? [key] : []));
      bytes += await copyObjects(from, destination, keys);
      objects += keys.length;
    }
    for (const [key, size] of missing) present.set(key, size);
    await copyManifest(from, destination, recoveryPoint);
    copied.push(id);
  }
  await confirm(destination, copied);
  return { copied, skipped, objects, bytes };
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
  const wrapped = await from.stores.control.get(key);
  await ring.open(id, wrapped);
  await to.control.create(key, wrapped);
}

async function packsOf(repository: OpenRepository, recoveryPoint: RecoveryPoint): Promise<TreePacks> {
  const packs = new Map<string, readonly Pack[]>();
  for (const { tree } of capturesOf(recoveryPoint)) {
    packs.set(tree.id, (await repository.readTree(tree.id, treePacksSchema)).packs);
  }
  return packs;
}

async function copyObjects(from: OpenRepository, to: OpenRepository, keys: readonly string[]): Promise<number> {
  let bytes = 0;
  await forEachConcurrently(objectsAtOnce, keys, async (key) => {
    const object = await from.stores.repository.get(key);
    // Nothing that is created can be replaced: what came is looked at first.
    if (parseStoreKey(key)?.kind === "pack") checkPack(key, object);
    else await from.checkSealed(key, object);
    await to.stores.repository.create(key, object);
    bytes += object.length;
  });
  return bytes;
}

function checkPack(key: string, bytes: Buffer): void {
  if (key === storeLayout.pack(createHash("sha256").update(bytes).digest("hex"))) return;
  throw new DrError("OBJECT_CORRUPT", `${key} does not hold what its name says; it was not copied`, {
    hint: "verify the recovery point in both regions, and take a full capture",
  });
}

/** Throws RECOVERY_POINT_INCOMPLETE unless the destination has everything that it copied. */
async function confirm(destination: OpenRepository, copied: readonly string[]): Promise<void> {
  if (copied.length === 0) return;
  const view = await BucketView.read(destination);
  const packs = new Map<string, readonly Pack[]>();
  for (const id of copied) {
    const { reasons, state } = await view.entry(id, packs);
    if (state === "complete") continue;
    throw new DrError("RECOVERY_POINT_INCOMPLETE", `${id} was copied and is ${state}: ${reasons[0] ?? "no manifest"}`, {
      hint: "run `qdrant-dr copy` again",
    });
  }
}
