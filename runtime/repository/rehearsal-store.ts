/** An `ObjectStore` for a rehearsal: what is created stays in memory, and what the real store holds is read as it is. */
import { createHash } from "node:crypto";
import { folderBelow } from "../domain/recovery-points/store-layout.ts";
import { DrError, hasCode } from "../errors.ts";
import type { Abortable, ObjectStore, ObjectStoreReader, ReadRequest, StoredObject } from "../ports/object-store.ts";
import { unlessMissing } from "./record.ts";

export class RehearsalStore implements ObjectStore {
  readonly #store: ObjectStoreReader;
  readonly #isSeen: (key: string) => boolean;
  readonly #created = new Map<string, Buffer>();

  /** @param isSeen of what the real store holds: the rest is not there for who rehearses. */
  constructor(store: ObjectStoreReader, isSeen: (key: string) => boolean = () => true) {
    this.#store = store;
    this.#isSeen = isSeen;
  }

  async get(key: string, request: ReadRequest = {}): Promise<Buffer> {
    const created = this.#created.get(key);
    if (created === undefined) return this.#seen(key).get(key, request);
    const { length, offset = 0 } = request;
    return length === undefined ? created : created.subarray(offset, offset + length);
  }

  async checksumOf(key: string): Promise<string | undefined> {
    const created = this.#created.get(key);
    return created === undefined ? this.#seen(key).checksumOf(key) : createHash("sha256").update(created).digest("hex");
  }

  async *list(prefix: string, request?: Abortable): AsyncGenerator<StoredObject> {
    for await (const object of this.#store.list(prefix, request)) if (this.#isSeen(object.key)) yield object;
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
    const created = this.#created.get(key)?.length;
    return created ?? (this.#isSeen(key) ? this.#store.sizeOf(key, request) : undefined);
  }

  async create(key: string, bytes: Uint8Array): Promise<"created" | "exists"> {
    if (this.#created.has(key) || (await this.#holds(key))) return "exists";
    this.#created.set(key, Buffer.from(bytes));
    return "created";
  }

  /** What nobody signed is not in the way of the real store either. */
  async #holds(key: string): Promise<boolean> {
    if (!this.#isSeen(key)) return false;
    try {
      return (await unlessMissing(this.#store.get(key))) !== undefined;
    } catch (error) {
      if (hasCode(error, "NOT_AUTHENTIC")) return false;
      throw error;
    }
  }

  /** Throws OBJECT_NOT_FOUND for what is not seen. */
  #seen(key: string): ObjectStoreReader {
    if (this.#isSeen(key)) return this.#store;
    throw new DrError("OBJECT_NOT_FOUND", `${key} is not there for a rehearsal`);
  }
}
