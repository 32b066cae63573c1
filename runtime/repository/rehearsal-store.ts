/** An `ObjectStore` for a rehearsal: what is created stays in memory, and what the real store holds is read as it is. */
import { createHash } from "node:crypto";
import { folderBelow } from "../domain/recovery-points/store-layout.ts";
import { hasCode } from "../errors.ts";
import type { Abortable, ObjectStore, ObjectStoreReader, ReadRequest, StoredObject } from "../ports/object-store.ts";
import { unlessMissing } from "./record.ts";

export class RehearsalStore implements ObjectStore {
  readonly #store: ObjectStoreReader;
  readonly #created = new Map<string, Buffer>();

  constructor(store: ObjectStoreReader) {
    this.#store = store;
  }

  async get(key: string, request: ReadRequest = {}): Promise<Buffer> {
    const created = this.#created.get(key);
    if (created === undefined) return this.#store.get(key, request);
    const { length, offset = 0 } = request;
    return length === undefined ? created : created.subarray(offset, offset + length);
  }

  async checksumOf(key: string): Promise<string | undefined> {
    const created = this.#created.get(key);
    return created === undefined ? this.#store.checksumOf(key) : createHash("sha256").update(created).digest("hex");
  }

  async *list(prefix: string, request?: Abortable): AsyncGenerator<StoredObject> {
    yield* this.#store.list(prefix, request);
    for (const [key, bytes] of this.#created) if (key.startsWith(prefix)) yield { key, size: bytes.length };
  }

  async *folders(folder: string, request?: Abortable): AsyncGenerator<string> {
    const found = new Set<string>();
    for await (const name of this.#store.folders(folder, request)) found.add(name);
    for (const key of this.#created.keys()) {
      const name = folderBelow(folder, key);
      if (name !== undefined) found.add(name);
    }
    yield* found;
  }

  async sizeOf(key: string, request?: Abortable): Promise<number | undefined> {
    return this.#created.get(key)?.length ?? this.#store.sizeOf(key, request);
  }

  async create(key: string, bytes: Uint8Array): Promise<"created" | "exists"> {
    if (this.#created.has(key) || (await this.#holds(key))) return "exists";
    this.#created.set(key, Buffer.from(bytes));
    return "created";
  }

  /** What nobody signed is not in the way of the real store either. */
  async #holds(key: string): Promise<boolean> {
    try {
      return (await unlessMissing(this.#store.get(key))) !== undefined;
    } catch (error) {
      if (hasCode(error, "NOT_AUTHENTIC")) return false;
      throw error;
    }
  }
}
