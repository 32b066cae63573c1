/**
 * An `ObjectStore` that repeats what its store says is worth it. A repeated `create` that meets an object answers "exists", also when
 * the object is its own: who has to know reads it back, as after any error.
 */
import { DrError } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { ObjectStore, StoredObject } from "../../ports/object-store.ts";
import { type RetryPolicy, retry } from "../../time/retry.ts";
import { WorthRepeating } from "./worth-repeating.ts";

/** The delay lets a broken connection recover; the jitter keeps two creators of one key from colliding again. */
const usualPolicy = { attempts: 3, firstDelayMs: 50, jitter: 1, isRetryable } satisfies RetryPolicy;

export class RetryingStore implements ObjectStore {
  readonly #store: ObjectStore;
  readonly #clock: Clock;
  readonly #policy: RetryPolicy;

  /** @param attempts how often in all a request is made; 3 times when left out. */
  constructor(store: ObjectStore, clock: Clock, attempts: number = usualPolicy.attempts) {
    this.#store = store;
    this.#clock = clock;
    this.#policy = { ...usualPolicy, attempts };
  }

  get(key: string, range?: { readonly offset: number; readonly length: number }): Promise<Buffer> {
    return retry(this.#clock, this.#policy, () => this.#store.get(key, range));
  }

  /** Not repeated: what was listed until the error cannot be taken back. The store repeats the request for a page. */
  list(prefix: string): AsyncIterable<StoredObject> {
    return this.#store.list(prefix);
  }

  create(key: string, bytes: Uint8Array, sha256?: string): Promise<"created" | "exists"> {
    return retry(this.#clock, this.#policy, () => this.#store.create(key, bytes, sha256));
  }
}

function isRetryable(error: unknown): boolean {
  return error instanceof DrError && error.cause instanceof WorthRepeating;
}
