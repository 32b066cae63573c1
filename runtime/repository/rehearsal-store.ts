/** An `ObjectStore` for a rehearsal: what is created stays in memory, and what the real store holds is read as it is. */
import type { ObjectStore, ObjectStoreReader, StoredObject } from "../ports/object-store.ts";
import { unlessMissing } from "./record.ts";

export class RehearsalStore implements ObjectStore {
  readonly #store: ObjectStoreReader;
  readonly #created = new Map<string, Buffer>();

  constructor(store: ObjectStoreReader) {
    this.#store = store;
  }

  async get(key: string, range?: { readonly offset: number; readonly length: number }): Promise<Buffer> {
    const created = this.#created.get(key);
    if (created === undefined) return this.#store.get(key, range);
    return range === undefined ? created : created.subarray(range.offset, range.offset + range.length);
  }

  async *list(prefix: string): AsyncGenerator<StoredObject> {
    yield* this.#store.list(prefix);
    for (const [key, bytes] of this.#created) if (key.startsWith(prefix)) yield { key, size: bytes.length };
  }

  async create(key: string, bytes: Uint8Array): Promise<"created" | "exists"> {
    if (this.#created.has(key) || (await unlessMissing(this.#store.get(key))) !== undefined) return "exists";
    this.#created.set(key, Buffer.from(bytes));
    return "created";
  }
}
