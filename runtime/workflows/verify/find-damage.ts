/** What of a repository is missing, damaged or cannot be opened: by name, and without an end at the first. */
import { forEachConcurrently } from "../../async/for-each-concurrently.ts";
import {
  type CapturedCollection,
  capturesOf,
  type RecoveryPoint,
} from "../../domain/recovery-points/recovery-point.ts";
import { storeLayout } from "../../domain/recovery-points/store-layout.ts";
import { treePacksSchema } from "../../domain/recovery-points/stored-content.ts";
import { type DrError, hasCode } from "../../errors.ts";
import type { ObjectStoreReader } from "../../ports/object-store.ts";
import { readFindings } from "../../repository/catalog/findings.ts";
import { checkObject } from "../../repository/content/check-object.ts";
import { droppedSince } from "../../repository/prune/dropped-since.ts";
import { getWhole, unlessMissing } from "../../repository/record.ts";
import type { OpenRepository } from "../../repository/repository.ts";

const objectsAtOnce = 4;
const sizesAtOnce = 16;

export interface Damage {
  readonly key: string;
  readonly because: string;
}

/** What a store answers for bytes that are not there or not what they should be; anything else says nothing about them. */
export function isDamage(error: unknown): error is DrError {
  return hasCode(error, "OBJECT_CORRUPT", "NOT_AUTHENTIC", "OBJECT_NOT_FOUND");
}

/** Reads a whole object, and once more where it came damaged: that may have happened on its way. */
async function readChecked(repository: OpenRepository, key: string): Promise<Buffer> {
  const read = async () => {
    const bytes = await getWhole(repository.stores.repository, key);
    await checkObject(repository, key, bytes);
    return bytes;
  };
  return read().catch((error: unknown) => {
    if (isDamage(error)) return read();
    throw error;
  });
}

/**
 * Looks at recovery points by what names what: manifest, trees, and the packs of these with their sizes. What several of them name is
 * looked at once.
 */
export class NamedObjects {
  readonly #repository: OpenRepository;
  /** Of the trees that were read: their packs; a damage where they cannot be read. */
  readonly #trees = new Map<string, Promise<Damage | readonly { readonly id: string; readonly size: number }[]>>();
  readonly #facts = new Map<string, Promise<Damage | undefined>>();
  readonly #packs = new Map<string, Promise<Damage | undefined>>();

  constructor(repository: OpenRepository) {
    this.#repository = repository;
  }

  /** What is damaged of a recovery point, none of it twice. */
  async damagesOf(id: string): Promise<readonly Damage[]> {
    const recoveryPoint = await this.#manifest(id);
    if ("because" in recoveryPoint) return [recoveryPoint];
    const damages = new Map<string, Damage>();
    const tell = (damage: Damage | undefined) => damage && damages.set(damage.key, damage);
    for (const collection of recoveryPoint.collections) tell(await this.#lookAtFacts(collection));
    const packs = new Map<string, number>();
    for (const { tree } of capturesOf(recoveryPoint)) {
      const read = await this.#tree(tree.id);
      if ("because" in read) tell(read);
      else for (const pack of read) packs.set(pack.id, pack.size);
    }
    await forEachConcurrently(sizesAtOnce, packs, async ([pack, size]) => {
      tell(await this.#pack(pack, size));
    });
    return [...damages.values()];
  }

  /** Keys of all that a recovery point names, as far as its trees can be read. */
  async keysOf(id: string): Promise<ReadonlyMap<string, { readonly costsAll: boolean }>> {
    const keys = new Map([[storeLayout.manifest(id), { costsAll: true }]]);
    const recoveryPoint = await this.#manifest(id);
    if ("because" in recoveryPoint) return keys;
    for (const { facts } of recoveryPoint.collections) keys.set(storeLayout.collectionFacts(facts), { costsAll: true });
    const ofQdrant = new Set(recoveryPoint.collections.flatMap(({ shards }) => shards.map(({ tree }) => tree.id)));
    for (const { tree } of capturesOf(recoveryPoint)) {
      // What is damaged of the folders beside Qdrant costs these alone.
      const costsAll = ofQdrant.has(tree.id) || !recoveryPoint.kinds.includes("qdrant");
      const read = await this.#tree(tree.id);
      const named = "because" in read ? [] : read.map((pack) => storeLayout.pack(pack.id));
      for (const key of [storeLayout.tree(tree.id), ...named]) {
        keys.set(key, { costsAll: costsAll || keys.get(key)?.costsAll === true });
      }
    }
    return keys;
  }

  async #manifest(id: string): Promise<RecoveryPoint | Damage> {
    return this.#unlessDamaged(storeLayout.manifest(id), () => this.#repository.readRecoveryPoint(id));
  }

  #tree(id: string) {
    const known = this.#trees.get(id);
    if (known !== undefined) return known;
    const read = this.#unlessDamaged(
      storeLayout.tree(id),
      async () => (await this.#repository.readTree(id, treePacksSchema)).packs,
    );
    this.#trees.set(id, read);
    return read;
  }

  #lookAtFacts(collection: CapturedCollection): Promise<Damage | undefined> {
    const id = `${collection.key} ${collection.facts}`;
    const known = this.#facts.get(id);
    if (known !== undefined) return known;
    const read = this.#unlessDamaged(storeLayout.collectionFacts(collection.facts), () =>
      this.#repository.readFacts(collection),
    ).then((found) => ("because" in found ? found : undefined));
    this.#facts.set(id, read);
    return read;
  }

  #pack(id: string, size: number): Promise<Damage | undefined> {
    const known = this.#packs.get(id);
    if (known !== undefined) return known;
    const looked = this.#lookAtPack(id, size);
    this.#packs.set(id, looked);
    return looked;
  }

  async #lookAtPack(id: string, size: number): Promise<Damage | undefined> {
    const store = this.#repository.stores.repository;
    const key = storeLayout.pack(id);
    const found = await sizeOf(store, key);
    if (found === undefined) return { key, because: "it is missing" };
    if (found !== size) return { key, because: `it has ${found} bytes instead of ${size}` };
    // Its name is its checksum; not every store keeps one.
    const checksum = await unlessMissing(store.checksumOf(key));
    if (checksum === undefined || checksum === id) return undefined;
    return { key, because: `the store says that its checksum is ${checksum}` };
  }

  async #unlessDamaged<T>(key: string, read: () => Promise<T>): Promise<T | Damage> {
    try {
      return await read().catch((error: unknown) => {
        if (isDamage(error)) return read();
        throw error;
      });
    } catch (error) {
      if (isDamage(error)) return { key, because: error.message };
      throw error;
    }
  }
}

/** Reads objects whole. What a prune removed since it was listed is not damaged. */
export async function readWhole(
  repository: OpenRepository,
  objects: readonly { readonly key: string; readonly size: number }[],
): Promise<{ readonly bytes: number; readonly damaged: readonly Damage[] }> {
  const damaged: Damage[] = [];
  let bytes = 0;
  await forEachConcurrently(objectsAtOnce, objects, async ({ key, size }) => {
    bytes += size;
    try {
      await readChecked(repository, key);
    } catch (error) {
      if (!isDamage(error)) throw error;
      // Still listed: what stands in for it is gone.
      const isPruned =
        error.code === "OBJECT_NOT_FOUND" && (await sizeOf(repository.stores.repository, key)) === undefined;
      if (isPruned) return;
      damaged.push({ key, because: error.message });
    }
  });
  return { bytes, damaged };
}

/** Reads all that a recovery point names, and names what of it is missing or not what it should be. */
export async function damagedObjectsOf(repository: OpenRepository, id: string): Promise<readonly Damage[]> {
  const named = new NamedObjects(repository);
  const missing = await named.damagesOf(id);
  const known = new Set(missing.map(({ key }) => key));
  const keys = [...(await named.keysOf(id)).keys()].filter((key) => !known.has(key));
  return [...missing, ...(await recheck(repository, keys))];
}

/** Which of these objects are damaged or missing. */
export async function recheck(repository: OpenRepository, keys: Iterable<string>): Promise<Damage[]> {
  const damaged: Damage[] = [];
  await forEachConcurrently(objectsAtOnce, keys, async (key) => {
    try {
      await readChecked(repository, key);
    } catch (error) {
      if (!isDamage(error)) throw error;
      damaged.push({ key, because: error.message });
    }
  });
  return damaged;
}

/** Prunes of before have nothing to do with attestations that are still there. */
const pruneLooksBackMs = 90 * 24 * 3_600_000;

/** Findings about a recovery point stand there, its manifest does not, and no prune has dropped it. */
export async function manifestsGone(repository: OpenRepository, now: Date): Promise<readonly Damage[]> {
  const { gone } = await readFindings(repository.stores.repository);
  if (gone.length === 0) return [];
  const dropped = await droppedSince(repository.stores.control, new Date(now.getTime() - pruneLooksBackMs));
  return gone
    .filter((id) => !dropped.has(id))
    .map((id) => ({ key: storeLayout.manifest(id), because: "findings about it are there, and it is not" }));
}

/** Undefined when there is no such object. */
export async function sizeOf(store: ObjectStoreReader, key: string): Promise<number | undefined> {
  for await (const found of store.list(key)) if (found.key === key) return found.size;
  return undefined;
}

/** The first reason for each object. */
export function distinct(damages: readonly Damage[]): Damage[] {
  return [...new Map(damages.toReversed().map((damage) => [damage.key, damage])).values()].reverse();
}
