/**
 * Reads a shard from a collection snapshot that exists only as long as it is needed. What a killed run left is removed by
 * a later one when its name is recorded; a snapshot that may be left over and may be somebody's is told, and stays.
 */

import { newId } from "../../../domain/identifier.ts";
import { shardInSnapshot } from "../../../domain/qdrant/collection-snapshot.ts";
import type { TarEntry } from "../../../domain/qdrant/sparse-tar.ts";
import type { Clock } from "../../../ports/clock.ts";
import type { ObjectStore } from "../../../ports/object-store.ts";
import type { CollectionReader, ShardPlacement, ShardReader } from "../../../ports/qdrant.ts";
import { leftSnapshots, recordSnapshot, type SnapshotRecord } from "../../../repository/control/snapshot-records.ts";
import { ignoreUnreadable, type ReportUnreadable } from "../../../repository/record.ts";

/** A run that made a snapshot has begun to read it long before, and reads on when the name is gone. */
const readBeginsWithinMs = 10 * 60_000;
/** Qdrant goes on making a snapshot after whoever asked for it is gone. */
const madeWithinMs = 24 * 60 * 60_000;
/** Qdrant puts the second in which it began into the name; its clock and ours may differ by this much. */
const clocksDifferMs = 5 * 60_000;

/** A snapshot that is there now, and its entries in the layout of the shard's archive. */
export interface TemporarySnapshot {
  read(): AsyncGenerator<TarEntry>;
  /** To be called whatever became of it. Keeps errors to itself: what could not be deleted is recorded for a later run. */
  remove(): Promise<void>;
}

export interface LeftSnapshots {
  readonly removed: readonly string[];
  /** May be left over from a run that was killed before it knew the name, and may be somebody's. */
  readonly unsure: readonly string[];
}

export class TemporarySnapshots {
  readonly #clock: Clock;
  readonly #control: ObjectStore;
  readonly #database: Pick<CollectionReader, "collections"> & ShardReader;

  /** @param control where the snapshots are recorded that are under way, or were not deleted. */
  constructor({
    clock,
    control,
    database,
  }: { clock: Clock; control: ObjectStore; database: Pick<CollectionReader, "collections"> & ShardReader }) {
    this.#clock = clock;
    this.#control = control;
    this.#database = database;
  }

  async take(collection: string, shard: ShardPlacement): Promise<TemporarySnapshot> {
    const before = await this.#database.snapshots(collection, shard);
    const at = this.#clock.now();
    const record = { id: newId(at), collection, shard: shard.id, peer: shard.peer, at: at.toISOString(), before };
    await recordSnapshot(this.#control, record, "making");
    // After an error there may be one all the same, or will be: the record stays open.
    const snapshot = await this.#database.createSnapshot(collection, shard);
    const made = { ...record, at: this.#clock.now().toISOString(), name: snapshot.name };
    await recordSnapshot(this.#control, made, "made");
    const open = () => this.#database.readSnapshot(collection, shard, snapshot);
    const remove = () => this.#remove(made, shard);
    return {
      async *read() {
        const archive = await open();
        try {
          yield* shardInSnapshot(archive, shard.id);
        } finally {
          archive.destroy();
        }
      },
      async remove() {
        try {
          await remove();
        } catch {
          // The record of its name stands; the next run removes it.
        }
      },
    };
  }

  /** Removes what earlier runs left, as far as its collection and its peer are there. */
  async removeLeft(reportUnreadable: ReportUnreadable = ignoreUnreadable): Promise<LeftSnapshots> {
    const removed: string[] = [];
    const unsure: string[] = [];
    const left = await leftSnapshots(this.#control, reportUnreadable);
    const collections = left.length === 0 ? [] : await this.#database.collections();
    for (const record of left) {
      const age = this.#clock.now().getTime() - Date.parse(record.at);
      if (age < readBeginsWithinMs || !collections.includes(record.collection)) continue;
      const shard = (await this.#database.shards(record.collection)).find(({ peer }) => peer === record.peer);
      if (shard === undefined) continue;
      const present = await this.#database.snapshots(record.collection, shard);
      if (record.name !== undefined) {
        await this.#remove(record, shard);
        if (present.includes(record.name)) removed.push(record.name);
        continue;
      }
      const candidates = present.filter((name) => !record.before.includes(name) && isOfTime(name, record.at));
      unsure.push(...candidates);
      if (candidates.length === 0 && age > madeWithinMs) await recordSnapshot(this.#control, record, "gone");
    }
    return { removed, unsure };
  }

  async #remove(record: SnapshotRecord, shard: ShardPlacement): Promise<void> {
    // Snapshots that were begun in one second share a name: what was there before stays.
    if (record.name !== undefined && !record.before.includes(record.name)) {
      await this.#database.deleteSnapshot(record.collection, shard, record.name);
    }
    await recordSnapshot(this.#control, record, "gone");
  }
}

/** Whether a name like `notes-123-2026-01-31-23-59-59.snapshot` says that it was begun about then. */
function isOfTime(name: string, at: string): boolean {
  const time = /-(\d{4}-\d\d-\d\d)-(\d\d)-(\d\d)-(\d\d)\.snapshot$/.exec(name);
  if (time === null) return false;
  const [, day, hours, minutes, seconds] = time;
  const begun = Date.parse(`${day}T${hours}:${minutes}:${seconds}Z`);
  return Math.abs(begun - Date.parse(at)) <= clocksDifferMs;
}
