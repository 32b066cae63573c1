/** Records what is done to a standby, and what it holds then, so that the next run recognises it. */
import { forEachConcurrently } from "../../async/for-each-concurrently.ts";
import { markOfReplicas, markOfSettings } from "../../domain/qdrant/shard-mark.ts";
import { isExact } from "../../domain/recovery-points/recovery-point.ts";
import { DrError } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { ObjectStoreReader } from "../../ports/object-store.ts";
import type { ShardPlacement, VectorDatabase } from "../../ports/qdrant.ts";
import type { HeldCollection, StandbyState } from "../../repository/control/standby-records.ts";
import { collectionsAtOnce } from "../apply/collections-at-once.ts";
import { describeCollection, readSegments } from "../apply/describe-collection.ts";
import type { AppliedState, ApplyJournal } from "../apply/journal.ts";
import type { ApplyPlan, PlannedCollection } from "../apply/plan-apply.ts";
import { ownFingerprint } from "../capture/read/own-fingerprint.ts";
import type { StandbyTurn } from "./standby-turn.ts";

/** While nothing changes, it is recorded so often that the standby still holds everything. */
const recordEveryMs = 15_000;

/** When what is applied was captured. */
export interface CaptureTimes {
  /** When the newest capture began that found nothing newer than the recovery point; the recovery point's own time when left out. */
  readonly asOf?: Date | undefined;
  /** When the capture began that replication heard of last; `asOf` when left out. */
  readonly followedAt?: Date | undefined;
  /** When replication read all of the source the last time. */
  readonly fullAt?: Date | undefined;
}

export interface StandbyJournalRequest extends CaptureTimes {
  readonly turn: StandbyTurn;
  readonly target: VectorDatabase;
  /** The standby's. */
  readonly control: ObjectStoreReader;
  readonly clock: Clock;
}

export class StandbyJournal implements ApplyJournal {
  readonly #request: StandbyJournalRequest;
  readonly #plan: ApplyPlan;

  /** @param plan made in the request's turn. */
  constructor(request: StandbyJournalRequest, plan: ApplyPlan) {
    this.#request = request;
    this.#plan = plan;
  }

  async begin(making: readonly string[]): Promise<void> {
    await this.#request.turn.begin(making);
  }

  heartbeat(): void {
    this.#request.turn.heartbeat();
  }

  /** Nobody but replication uses a standby. */
  loaded(): void {}

  async refuseUnlessMine(): Promise<void> {
    await this.#request.turn.records.refuseUnlessMine();
  }

  async end({ dropped, touched }: AppliedState): Promise<void> {
    const { clock, target, turn } = this.#request;
    const { collections: planned, gone, recoveryPoint, unread } = this.#plan;
    const at = clock.now();
    const before = turn.knowledge.held;
    const asOf = this.#request.asOf?.toISOString() ?? recoveryPoint.time;
    const collections: HeldCollection[] = [];
    const peers = new Map<number, ShardPlacement>();
    await forEachConcurrently(collectionsAtOnce, planned, async (each) => {
      const known = touched.has(each.name) ? undefined : before?.collections.find(({ name }) => name === each.name);
      const held = await this.#heldCollection(each, known);
      for (const replica of held.replicas) peers.set(replica.peer, replica);
      collections.push(held.collection);
    });
    // As they were: `goneSince` would let them be dropped.
    for (const { goneSince: _none, ...each } of unread) collections.push(each);
    collections.sort((a, b) => (a.name < b.name ? -1 : 1));
    for (const each of gone) collections.push({ ...each, goneSince: each.goneSince ?? at.toISOString() });
    const fingerprints: Record<string, string> = {};
    const source = { clock, control: this.#request.control, database: target, known: new Map() };
    for (const [peer, replica] of peers) fingerprints[String(peer)] = await ownFingerprint(source, replica);
    const state: StandbyState = {
      format: 1,
      at: at.toISOString(),
      recoveryPoint: recoveryPoint.id,
      region: recoveryPoint.region,
      epoch: recoveryPoint.epoch,
      asOf,
      followedAt: this.#request.followedAt?.toISOString() ?? asOf,
      isExact: isExact(recoveryPoint),
      exactAsOf: isExact(recoveryPoint) ? asOf : before?.exactAsOf,
      fullAt: this.#request.fullAt?.toISOString() ?? before?.fullAt,
      processes: await target.processes(),
      fingerprints,
      collections,
    };
    await turn.records.refuseUnlessMine();
    const isSame = touched.size === 0 && dropped.length === 0 && before?.recoveryPoint === recoveryPoint.id;
    if (isSame && at.getTime() - Date.parse(before.at) < recordEveryMs) {
      // `at` stays that of the record, which decides when the next one is due.
      turn.knowledge = { held: { ...state, at: before.at }, making: [] };
      return;
    }
    await turn.records.hold(state);
    turn.knowledge = { held: state, making: [] };
  }

  /** A standby keeps what was made in part: the next run recognises it by what `begin` recorded. */
  async endInFailure(): Promise<void> {}

  /** @param known its record from before, when it was not changed since. */
  async #heldCollection({ captured, name }: PlannedCollection, known: HeldCollection | undefined) {
    const { target } = this.#request;
    const described = await describeCollection(target, name);
    if (described === undefined) throw new DrError("VERIFICATION_FAILED", `${name} cannot be read on the standby`);
    const { mark, replicas } = described;
    if (known !== undefined) {
      const { goneSince: _back, ...collection } = known;
      return { replicas, collection };
    }
    const shards: HeldCollection["shards"] = [];
    for (const shard of captured.shards) {
      const read = await readSegments(
        target,
        name,
        replicas.filter(({ id }) => id === shard.id),
      );
      if (read === undefined || read.length === 0) {
        throw new DrError("VERIFICATION_FAILED", `${name} shard ${shard.id} is not whole on the standby`);
      }
      shards.push({ id: shard.id, tree: shard.tree.id, segments: markOfReplicas(read) });
    }
    const made = markOfSettings(captured, captured.shards);
    return { replicas, collection: { name, made, described: mark, shards } };
  }
}
