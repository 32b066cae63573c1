/**
 * Decides again and again whether a region's gate is open. It never forgets which epochs and fences it has seen, also over a
 * restart: a region that has seen another one become active does not serve again when it can no longer see that.
 */
import { withTimeout } from "../../async/with-timeout.ts";
import {
  decideGate,
  type GateDecision,
  type GateKnowledge,
  type GateMode,
  mergeKnowledge,
} from "../../domain/roles/gate.ts";
import { toDrError } from "../../errors.ts";
import type { ObjectStore, ObjectStoreReader } from "../../ports/object-store.ts";
import { readGateKnowledge } from "../../repository/control/gate-records.ts";
import type { Lease } from "../../repository/control/lease.ts";
import { untilAborted } from "../../repository/until-aborted.ts";

/** A store that takes longer counts as one that cannot be seen. */
const lookWithinMs = 2_000;

export interface GuardRequest {
  readonly region: string;
  readonly mode: GateMode;
  readonly control: ObjectStore;
  /** The other region's. */
  readonly peerControl: ObjectStore | undefined;
  /** Stores an epoch in the own control store, as it stands signed in the other one. */
  readonly carryEpoch: (epoch: number) => Promise<void>;
  /** For `consistency`. */
  readonly lease: Lease | undefined;
  /** The epochs and fences that it had seen before a restart. */
  readonly seen: GateKnowledge | undefined;
  /** Stores what was seen; called before the guard acts on it. */
  readonly remember: (seen: GateKnowledge) => void;
}

export interface GuardView extends GateDecision {
  readonly epoch: number | undefined;
  readonly active: string | undefined;
  /** The stores that could not be read, and why. */
  readonly blind: readonly string[];
}

export class Guard {
  readonly #request: GuardRequest;
  #seen: GateKnowledge | undefined;
  /** The newest epoch that is known to stand in the own control store. */
  #copied = 0;
  /** Stores that have been asked and have not answered yet. */
  readonly #lookedAt = new Set<ObjectStoreReader>();
  #view: GuardView;

  constructor(request: GuardRequest) {
    this.#request = request;
    this.#seen = request.seen;
    this.#view = { ...this.#decide([]), ...this.#epoch(), blind: ["nothing was looked at yet"] };
  }

  /** The view of the last look; a lease runs out by itself. */
  get view(): GuardView {
    const { isOpen } = this.#view;
    if (!isOpen || this.#isLeaseHeld()) return this.#view;
    return { ...this.#view, isOpen: false, reason: "its lease ran out" };
  }

  async look(): Promise<GuardView> {
    const { control, lease, peerControl } = this.#request;
    const blind: string[] = [];
    const read = async (name: string, store: ObjectStore | undefined) => {
      if (store === undefined) return undefined;
      try {
        return await withTimeout(lookWithinMs, "the store", (signal) => this.#lookAt(store, signal));
      } catch (error) {
        blind.push(`${name}: ${toDrError(error).message}`);
        return undefined;
      }
    };
    const [own, peer] = await Promise.all([
      read("own control store", control),
      read("the other region's control store", peerControl),
    ]);
    const known = [own, peer].filter((one) => one !== undefined);
    if (this.#isWorthALease(known)) {
      try {
        await withTimeout(lookWithinMs, "the witness", async () =>
          lease?.renew(mergeKnowledge([this.#seen, ...known])?.newest.epoch ?? 0),
        );
      } catch (error) {
        blind.push(`lease: ${toDrError(error).message}`);
      }
    }
    const decision = this.#decide(known);
    this.#remember(mergeKnowledge([this.#seen, ...known]), blind);
    this.#view = { ...decision, ...this.#epoch(), blind };
    await this.#copyToOwnStore(own);
    return this.#view;
  }

  /** One look at a store at a time: those at one that hangs would only pile up. */
  async #lookAt(store: ObjectStoreReader, signal: AbortSignal): Promise<GateKnowledge | undefined> {
    if (this.#lookedAt.has(store)) throw new Error("its last answer has not come yet");
    this.#lookedAt.add(store);
    try {
      return await readGateKnowledge(untilAborted(store, signal), this.#seen?.newest);
    } finally {
      this.#lookedAt.delete(store);
    }
  }

  #decide(known: readonly GateKnowledge[]): GateDecision {
    const { mode, region } = this.#request;
    const all = this.#seen === undefined ? known : [this.#seen, ...known];
    const epoch = mergeKnowledge(all)?.newest.epoch ?? 0;
    const isLeaseHeld = mode === "availability" || (this.#request.lease?.isHeld(epoch) ?? false);
    return decideGate({ region, mode, known: all, isLeaseHeld });
  }

  /** A region that would be closed anyway takes no lease. */
  #isWorthALease(known: readonly GateKnowledge[]): boolean {
    const { mode, region } = this.#request;
    const all = this.#seen === undefined ? known : [this.#seen, ...known];
    return mode === "consistency" && decideGate({ region, mode, known: all, isLeaseHeld: true }).isOpen;
  }

  #isLeaseHeld(): boolean {
    const { lease, mode } = this.#request;
    return mode === "availability" || (lease?.isHeld(this.#seen?.newest.epoch ?? 0) ?? false);
  }

  #epoch(): { epoch: number | undefined; active: string | undefined } {
    return { epoch: this.#seen?.newest.epoch, active: this.#seen?.newest.active };
  }

  #remember(seen: GateKnowledge | undefined, blind: string[]): void {
    if (seen === undefined || JSON.stringify(seen) === JSON.stringify(this.#seen)) return;
    try {
      this.#request.remember(seen);
    } catch (error) {
      // What was seen holds all the same; only a restart would have to see it again.
      blind.push(`own memory: ${toDrError(error).message}`);
    }
    this.#seen = seen;
  }

  /** A failover copies its epoch to the lost region if it can reach it. Where it could not, the guard does when it sees the epoch. */
  async #copyToOwnStore(own: GateKnowledge | undefined): Promise<void> {
    const newest = this.#seen?.newest;
    if (own === undefined || newest === undefined || newest.epoch === this.#copied) return;
    try {
      if (own.newest.epoch !== newest.epoch) await this.#request.carryEpoch(newest.epoch);
      this.#copied = newest.epoch;
    } catch {
      // Tried again at the next look; the guard itself has seen it.
    }
  }
}
