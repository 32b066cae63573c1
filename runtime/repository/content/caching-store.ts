/**
 * An `ObjectStore` that remembers what went through it: who writes an object and reads it back a moment later does not ask for
 * it again. It remembers only objects that are never anything else than they were, and no more than `mostBytes`.
 */
import type { Abortable, ObjectStore, ReadRequest } from "../../ports/object-store.ts";
import { ForwardingStore } from "../forwarding-store.ts";

export class CachingStore extends ForwardingStore {
  readonly #mostBytes: number;
  readonly #isImmutable: (key: string) => boolean;
  /** The one that was used last is the last. */
  readonly #objects = new Map<string, Buffer>();
  /** Objects of which a part was asked for: the next time they are brought whole. */
  readonly #asked = new Set<string>();
  #bytes = 0;

  constructor(store: ObjectStore, mostBytes: number, isImmutable: (key: string) => boolean) {
    super(store);
    this.#isImmutable = isImmutable;
    this.#mostBytes = mostBytes;
  }

  override async get(key: string, request: ReadRequest = {}): Promise<Buffer> {
    const { length, offset = 0, ...limits } = request;
    limits.signal?.throwIfAborted();
    if (!this.#isImmutable(key)) return this.store.get(key, request);
    let whole = this.#objects.get(key);
    if (whole === undefined && length !== undefined && !this.#asked.has(key)) {
      if (this.#asked.size >= mostAsked) this.#asked.clear();
      this.#asked.add(key);
      return this.store.get(key, request);
    }
    whole ??= await this.store.get(key, limits);
    this.#keep(key, whole);
    if (length === undefined && whole.length <= (limits.mostBytes ?? whole.length)) return whole;
    if (length === undefined) return this.store.get(key, request);
    const end = offset + length;
    // A copy: a view that is handed to a thread takes all of its memory along. What is not there, the store says itself.
    return end <= whole.length ? Buffer.from(whole.subarray(offset, end)) : this.store.get(key, request);
  }

  override async sizeOf(key: string, request?: Abortable): Promise<number | undefined> {
    return this.#objects.get(key)?.length ?? this.store.sizeOf(key, request);
  }

  override async create(...[key, bytes, ...how]: Parameters<ObjectStore["create"]>): Promise<"created" | "exists"> {
    const answer = await this.store.create(key, bytes, ...how);
    // The bytes are the caller's, who uses their room again.
    if (answer === "created" && this.#isImmutable(key)) this.#keep(key, Buffer.from(bytes));
    return answer;
  }

  #keep(key: string, bytes: Buffer): void {
    this.#drop(key);
    if (bytes.length > this.#mostBytes) return;
    this.#objects.set(key, bytes);
    this.#bytes += bytes.length;
    for (const oldest of this.#objects.keys()) {
      if (this.#bytes <= this.#mostBytes) return;
      this.#drop(oldest);
    }
  }

  #drop(key: string): void {
    const known = this.#objects.get(key);
    if (known === undefined) return;
    this.#objects.delete(key);
    this.#asked.delete(key);
    this.#bytes -= known.length;
  }
}

/** Bounds what is remembered of objects that are not kept. */
const mostAsked = 10_000;
