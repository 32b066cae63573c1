/** The reference implementation of `ObjectStore`: says by being simple what the others must do. */
import { createHash } from "node:crypto";

import { objectNotFound, rangeOf, refuseIfLarger, wholeRange } from "../../../runtime/adapters/stores/ranges.ts";
import { folderBelow } from "../../../runtime/domain/recovery-points/store-layout.ts";
import type { Abortable, ObjectStore, ReadRequest, StoredObject } from "../../../runtime/ports/object-store.ts";
import type { LockedObject, PrunableStore } from "../../../runtime/ports/prunable-store.ts";

export class MemoryStore implements ObjectStore, PrunableStore {
  readonly objects = new Map<string, Buffer>();
  /** Of objects that were created through the store. */
  readonly #storedAt = new Map<string, Date>();
  readonly #now: () => Date;

  constructor(now: () => Date = () => new Date()) {
    this.#now = now;
  }

  async get(key: string, request: ReadRequest = {}): Promise<Buffer> {
    request.signal?.throwIfAborted();
    const range = rangeOf(request);
    const bytes = this.objects.get(key);
    if (bytes === undefined) throw objectNotFound(key);
    if (range === undefined) refuseIfLarger(key, bytes.length, request.mostBytes);
    return range === undefined
      ? Buffer.from(bytes)
      : wholeRange(key, bytes.subarray(range.offset, range.offset + range.length), range);
  }

  async checksumOf(key: string): Promise<string | undefined> {
    return createHash("sha256")
      .update(await this.get(key))
      .digest("hex");
  }

  async *list(prefix: string, { signal }: Abortable = {}): AsyncGenerator<StoredObject> {
    for (const key of [...this.objects.keys()].filter((candidate) => candidate.startsWith(prefix)).sort()) {
      signal?.throwIfAborted();
      const bytes = this.objects.get(key);
      if (bytes !== undefined) yield { key, size: bytes.length, storedAt: this.#storedAt.get(key) ?? new Date(0) };
    }
  }

  async *folders(folder: string): AsyncGenerator<string> {
    const found = new Set<string>();
    for (const key of this.objects.keys()) {
      const name = folderBelow(folder, key);
      if (name !== undefined) found.add(name);
    }
    yield* found;
  }

  async sizeOf(key: string): Promise<number | undefined> {
    return this.objects.get(key)?.length;
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
  override async *list(prefix: string, request?: Abortable): AsyncGenerator<StoredObject> {
    for await (const { key, size } of super.list(prefix, request)) yield { key, size };
  }
}
