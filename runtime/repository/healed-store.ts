/** A repository store that answers with the objects that stand in for damaged ones: who reads a recovery point need not know. */
import { folderBelow, storeLayout } from "../domain/recovery-points/store-layout.ts";
import type { ObjectStore, StoredObject } from "../ports/object-store.ts";
import type { HealedPlace } from "./control/heal-records.ts";

/** What is recorded and not there, as in a bucket that was lost and filled again, stands in for nothing. */
export async function healedStore(store: ObjectStore, healed: ReadonlyMap<string, HealedPlace>): Promise<ObjectStore> {
  const elsewhere = [...healed].filter(([key, { place }]) => place !== key);
  if (elsewhere.length === 0) return store;
  const there = new Set<string>();
  for await (const { key } of store.list(storeLayout.healed)) there.add(key);
  const standing = elsewhere.filter(([, { place }]) => there.has(place));
  return standing.length === 0 ? store : new HealedStore(store, new Map(standing));
}

class HealedStore implements ObjectStore {
  readonly #store: ObjectStore;
  readonly #healed: ReadonlyMap<string, HealedPlace>;

  constructor(store: ObjectStore, healed: ReadonlyMap<string, HealedPlace>) {
    this.#store = store;
    this.#healed = healed;
  }

  get: ObjectStore["get"] = (key, ...request) => this.#store.get(this.#healed.get(key)?.place ?? key, ...request);

  checksumOf: ObjectStore["checksumOf"] = (key, ...request) =>
    this.#store.checksumOf(this.#healed.get(key)?.place ?? key, ...request);

  sizeOf: ObjectStore["sizeOf"] = (key, ...request) =>
    this.#store.sizeOf(this.#healed.get(key)?.place ?? key, ...request);

  create: ObjectStore["create"] = (...request) => this.#store.create(...request);

  locks: NonNullable<ObjectStore["locks"]> = async () => {
    const locks = await this.#store.locks?.();
    const placeOf = (key: string) => this.#healed.get(key)?.place ?? key;
    if (locks === undefined) return undefined;
    return {
      ...locks,
      lockedUntil: (key) => locks.lockedUntil(placeOf(key)),
      extend: (key, until) => locks.extend(placeOf(key), until),
    };
  };

  async *folders(...[folder, ...more]: Parameters<ObjectStore["folders"]>): AsyncGenerator<string> {
    const found = new Set<string>();
    for await (const name of this.#store.folders(folder, ...more)) found.add(name);
    for (const key of this.#healed.keys()) {
      const name = folderBelow(folder, key);
      if (name !== undefined) found.add(name);
    }
    yield* found;
  }

  async *list(...[prefix, ...more]: Parameters<ObjectStore["list"]>): AsyncGenerator<StoredObject> {
    const left = new Map([...this.#healed].filter(([key]) => key.startsWith(prefix)));
    for await (const object of this.#store.list(prefix, ...more)) {
      const healed = left.get(object.key);
      left.delete(object.key);
      yield healed === undefined ? object : { ...object, size: healed.size };
    }
    // The damaged object is not needed for the one that stands in for it.
    for (const [key, { at, size }] of left) yield { key, size, storedAt: at };
  }
}
