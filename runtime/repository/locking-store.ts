/** A repository store in which what belongs to recovery points is locked from the moment in which it is stored. */
import { stepped } from "../domain/history/lock-end.ts";
import { type Retention, shortestReachOf } from "../domain/history/retention.ts";
import { keyBelowStream, parseContentKey, parseStoreKey, storeLayout } from "../domain/recovery-points/store-layout.ts";
import type { Clock } from "../ports/clock.ts";
import type { ObjectStore } from "../ports/object-store.ts";
import { ForwardingStore } from "./forwarding-store.ts";
import { unlessMissing } from "./record.ts";

/** It must be over when the stream drops the object, an hour later, and lie in the future by the store's clock. */
const streamLockMs = 30 * 60_000;

/** How long recovery points are locked: as long as they are kept. */
export interface Locking {
  readonly retention: Retention;
  readonly clock: Clock;
}

export class LockingStore extends ForwardingStore {
  readonly #clock: Clock;
  readonly #shortestMs: number;

  constructor(store: ObjectStore, { clock, retention }: Locking) {
    super(store);
    this.#clock = clock;
    this.#shortestMs = shortestReachOf(retention);
  }

  /** As long as any recovery point is kept, unless more is asked for: one that is kept for longer extends what it needs. */
  override async create(
    ...[key, bytes, sha256, lockedUntil]: Parameters<ObjectStore["create"]>
  ): Promise<"created" | "exists"> {
    return this.store.create(key, bytes, sha256, lockedUntil ?? (await this.#usualLockOf(key)));
  }

  async #usualLockOf(key: string): Promise<Date | undefined> {
    const parsed = parseStoreKey(key);
    if (parseContentKey(key) !== undefined || parsed?.kind === "manifest") return this.#shortest();
    if (parsed?.kind === "attestation") return this.#lockOfRecoveryPoint(parsed.recoveryPointId);
    // The stream needs no lock: it gets the shortest that there is where it would get a longer one by itself.
    const isStreamed = keyBelowStream(key) !== undefined && (await this.locks())?.locksByItself === true;
    return isStreamed ? new Date(this.#clock.now().getTime() + streamLockMs) : undefined;
  }

  /** What is said of a recovery point counts as long as it is there. */
  async #lockOfRecoveryPoint(id: string): Promise<Date> {
    const [shortest, locks] = [this.#shortest(), await this.locks()];
    const lockedUntil = locks && (await unlessMissing(locks.lockedUntil(storeLayout.manifest(id))));
    return lockedUntil !== undefined && lockedUntil > shortest ? lockedUntil : shortest;
  }

  #shortest(): Date {
    return stepped(this.#clock.now().getTime() + this.#shortestMs, this.#shortestMs).extended;
  }
}
