/** The reference implementation of `ObjectStore`: says by being simple what the others must do. */
import { createHash } from "node:crypto";

import { objectNotFound, rangeOf, refuseIfLarger, wholeRange } from "../../../runtime/adapters/stores/ranges.ts";
import { folderBelow } from "../../../runtime/domain/recovery-points/store-layout.ts";
import { DrError } from "../../../runtime/errors.ts";
import type {
  Abortable,
  ObjectLocks,
  ObjectStore,
  ReadRequest,
  StoredObject,
} from "../../../runtime/ports/object-store.ts";
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

/** Keeps locks as S3 does: what is locked is not deleted, and no lock becomes shorter. */
export class LockingMemoryStore extends MemoryStore {
  readonly lockedUntil = new Map<string, Date>();
  /** What its owner has decided of objects that are stored without a lock. */
  byItselfMs: number | undefined;
  readonly lockRequests = { questions: 0, extended: 0 };
  readonly #time: () => Date;

  constructor(now: () => Date) {
    super(now);
    this.#time = now;
  }

  override async create(
    key: string,
    bytes: Uint8Array,
    _sha256?: string,
    lockedUntil?: Date,
  ): Promise<"created" | "exists"> {
    if (lockedUntil !== undefined && lockedUntil <= this.#time()) throw refusedLock(key, "it must lie in the future");
    const answer = await super.create(key, bytes);
    const byItself = this.byItselfMs === undefined ? undefined : new Date(this.#time().getTime() + this.byItselfMs);
    const until = lockedUntil ?? byItself;
    if (answer === "created" && until !== undefined) this.lockedUntil.set(key, until);
    return answer;
  }

  async locks(): Promise<ObjectLocks> {
    return {
      locksByItself: this.byItselfMs !== undefined,
      lockedUntil: async (key) => {
        if (!this.objects.has(key)) throw objectNotFound(key);
        this.lockRequests.questions += 1;
        return this.lockedUntil.get(key);
      },
      extend: async (key, until) => {
        if (!this.objects.has(key)) throw objectNotFound(key);
        const before = this.lockedUntil.get(key);
        if (before !== undefined && until < before) throw refusedLock(key, "it would become shorter");
        this.lockRequests.extended += 1;
        this.lockedUntil.set(key, until);
      },
    };
  }

  override async delete(keys: readonly string[]): Promise<readonly LockedObject[]> {
    const isLocked = (key: string) => (this.lockedUntil.get(key) ?? 0) > this.#time();
    await super.delete(keys.filter((key) => !isLocked(key)));
    return keys.filter((key) => this.objects.has(key) && isLocked(key)).map((key) => ({ key, reason: "it is locked" }));
  }
}

function refusedLock(key: string, why: string): DrError {
  return new DrError("ACCESS_DENIED", `the store refuses the lock of ${key}: ${why}`, { hint: "see its rules" });
}

/** A store that does not tell when anything was stored. */
export class UntimedStore extends MemoryStore {
  override async *list(prefix: string, request?: Abortable): AsyncGenerator<StoredObject> {
    for await (const { key, size } of super.list(prefix, request)) yield { key, size };
  }
}
