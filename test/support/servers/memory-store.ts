/** The reference implementation of `ObjectStore`: says by being simple what the others must do. */
import { objectNotFound, wholeRange } from "../../../runtime/adapters/stores/ranges.ts";
import type { ObjectStore, StoredObject } from "../../../runtime/ports/object-store.ts";
import type { LockedObject, PrunableStore } from "../../../runtime/ports/prunable-store.ts";

export class MemoryStore implements ObjectStore, PrunableStore {
  readonly objects = new Map<string, Buffer>();
  /** Of objects that were created through the store. */
  readonly #storedAt = new Map<string, Date>();
  readonly #now: () => Date;

  constructor(now: () => Date = () => new Date()) {
    this.#now = now;
  }

  async get(key: string, range?: { readonly offset: number; readonly length: number }): Promise<Buffer> {
    const bytes = this.objects.get(key);
    if (bytes === undefined) throw objectNotFound(key);
    return range === undefined
      ? Buffer.from(bytes)
      : wholeRange(key, bytes.subarray(range.offset, range.offset + range.length), range);
  }

  async *list(prefix: string): AsyncGenerator<StoredObject> {
    for (const key of [...this.objects.keys()].filter((candidate) => candidate.startsWith(prefix)).sort()) {
      const bytes = this.objects.get(key);
      if (bytes !== undefined) yield { key, size: bytes.length, storedAt: this.#storedAt.get(key) ?? new Date(0) };
    }
  }

  async create(key: string, bytes: Uint8Array): Promise<"created" | "exists"> {
    if (this.objects.has(key)) return "exists";
    this.objects.set(key, Buffer.from(bytes));
    this.#storedAt.set(key, this.#now());
    return "created";
  }

  async delete(keys: readonly string[]): Promise<readonly LockedObject[]> {
    for (const key of keys) this.objects.delete(key);
    return [];
  }
}

/** A store that does not tell when anything was stored. */
export class UntimedStore extends MemoryStore {
  override async *list(prefix: string): AsyncGenerator<StoredObject> {
    for await (const { key, size } of super.list(prefix)) yield { key, size };
  }
}
