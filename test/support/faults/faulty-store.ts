/** Object stores that fail on order. All stores of one `Faults` count their calls together, as one process would. */
import { DrError } from "../../../runtime/errors.ts";
import type {
  Abortable,
  ObjectLocks,
  ObjectStore,
  ReadRequest,
  StoredObject,
} from "../../../runtime/ports/object-store.ts";
import type { PrunableStore } from "../../../runtime/ports/prunable-store.ts";
import { allOf } from "../all-of.ts";

export type Method = "get" | "list" | "create" | "delete" | "lock";

export interface FaultPlan {
  /** This call and every later one fail before they act: the process is dead to the store. */
  readonly killAt?: number;
  /** Only these calls, counted from 1: they fail before they act, after they acted, or answer slowly. */
  readonly at?: ReadonlyMap<number, "before" | "after" | "slow" | "fast">;
  /** Fails every call of a method whose key begins so. */
  readonly refuse?: { readonly method: Method; readonly prefix: string };
  /** Listings of this prefix end after so many objects, as if that were all. */
  readonly shorten?: { readonly prefix: string; readonly to: number };
  /** Every listing misses its last object, is empty, or stays as it was when it was asked for first. */
  readonly listings?: "short" | "empty" | "late";
}

export class Faults {
  calls = 0;
  readonly log: { method: Method; key: string }[] = [];
  readonly #plan: FaultPlan;
  #isDead = false;

  constructor(plan: FaultPlan = {}) {
    this.#plan = plan;
  }

  /** From here on every call fails before it acts. */
  kill(): void {
    this.#isDead = true;
  }

  wrap(store: ObjectStore): ObjectStore {
    return new FaultyStore(store, this, this.#plan);
  }

  /** A delete that fails has deleted half of what it was told: stores take the keys of a request one by one. */
  wrapPrunable(store: PrunableStore): PrunableStore {
    return {
      delete: async (keys) => {
        try {
          return await this.through("delete", keys[0] ?? "", () => store.delete(keys));
        } catch (error) {
          if (this.#plan.killAt === this.calls) await store.delete(keys.slice(0, Math.floor(keys.length / 2)));
          throw error;
        }
      },
    };
  }

  async through<T>(method: Method, key: string, act: () => Promise<T>): Promise<T> {
    this.calls += 1;
    const call = this.calls;
    this.log.push({ method, key });
    const { at, killAt, refuse } = this.#plan;
    if (this.#isDead || (killAt !== undefined && call >= killAt)) throw broken(method, key);
    if (refuse?.method === method && key.startsWith(refuse.prefix)) throw broken(method, key);
    const fault = at?.get(call);
    if (fault === "before") throw broken(method, key);
    if (fault === "slow") await new Promise((done) => setTimeout(done, 30));
    if (fault !== "after") return act();
    await act().catch(() => undefined);
    throw broken(method, key);
  }
}

class FaultyStore implements ObjectStore {
  readonly #inner: ObjectStore;
  readonly #faults: Faults;
  readonly #plan: FaultPlan;
  readonly #firstListings = new Map<string, readonly StoredObject[]>();

  constructor(inner: ObjectStore, faults: Faults, plan: FaultPlan) {
    this.#inner = inner;
    this.#faults = faults;
    this.#plan = plan;
  }

  get(key: string, request?: ReadRequest): Promise<Buffer> {
    return this.#faults.through("get", key, () => this.#inner.get(key, request));
  }

  checksumOf(key: string): Promise<string | undefined> {
    return this.#faults.through("get", key, () => this.#inner.checksumOf(key));
  }

  async *list(prefix: string, request?: Abortable): AsyncGenerator<StoredObject> {
    const objects = await this.#faults.through("list", prefix, () => allOf(this.#inner.list(prefix, request)));
    const { listings, shorten } = this.#plan;
    const first = this.#firstListings.get(prefix) ?? objects;
    this.#firstListings.set(prefix, first);
    if (listings === "empty") return;
    if (listings === "short") yield* objects.slice(0, -1);
    else if (listings === "late") yield* first;
    else yield* shorten?.prefix === prefix ? objects.slice(0, shorten.to) : objects;
  }

  async *folders(folder: string, request?: Abortable): AsyncGenerator<string> {
    const names = await this.#faults.through("list", folder, () => allOf(this.#inner.folders(folder, request)));
    const { listings } = this.#plan;
    if (listings === "empty") return;
    yield* listings === "short" ? names.slice(0, -1) : names;
  }

  sizeOf(key: string, request?: Abortable): Promise<number | undefined> {
    return this.#faults.through("get", key, () => this.#inner.sizeOf(key, request));
  }

  create(...request: Parameters<ObjectStore["create"]>): Promise<"created" | "exists"> {
    return this.#faults.through("create", request[0], () => this.#inner.create(...request));
  }

  async locks(): Promise<ObjectLocks | undefined> {
    const locks = await this.#inner.locks?.();
    if (locks === undefined) return undefined;
    return {
      ...locks,
      lockedUntil: (key) => this.#faults.through("get", key, () => locks.lockedUntil(key)),
      extend: (key, until) => this.#faults.through("lock", key, () => locks.extend(key, until)),
    };
  }
}

function broken(method: Method, key: string): DrError {
  return new DrError("UNREACHABLE", `injected: ${method} ${key}`);
}
