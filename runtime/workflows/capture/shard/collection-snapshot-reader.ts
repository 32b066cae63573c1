/** Captures a shard from a collection snapshot: it carries the write-ahead log, so that it is exact while an optimization runs. */
import { hasCode } from "../../../errors.ts";
import type { Clock } from "../../../ports/clock.ts";
import type { ShardPlacement } from "../../../ports/qdrant.ts";
import type { RecordedShard, TakenCapture } from "./captured-shard.ts";
import { noneEnded, type ShardOptimizations } from "./shard-optimizations.ts";
import type { ShardRecorders } from "./shard-recorder.ts";
import type { TemporarySnapshot, TemporarySnapshots } from "./temporary-snapshot.ts";

export interface CollectionSnapshotSource {
  readonly clock: Clock;
  readonly collection: string;
  readonly shard: ShardPlacement;
  readonly optimizations: ShardOptimizations;
  readonly snapshots: TemporarySnapshots;
}

export class CollectionSnapshotReader {
  readonly #source: CollectionSnapshotSource;
  readonly #recorders: ShardRecorders;

  constructor(source: CollectionSnapshotSource, recorders: ShardRecorders) {
    this.#source = source;
    this.#recorders = recorders;
  }

  /**
   * "refused" when the server makes no snapshot: it may lack the space. "ended" when the snapshot is not known to be exact: it
   * is not read then, unless there is no other chance.
   */
  async capture(isLast: boolean): Promise<TakenCapture | "refused" | "ended"> {
    const { clock, optimizations } = this.#source;
    await this.#recorders.begin();
    const startedAt = clock.now();
    const before = await optimizations.look();
    const snapshot = await this.#take();
    if (snapshot === undefined) return "refused";
    try {
      const isExact = noneEnded(before, await optimizations.look());
      if (!isExact && !isLast) return "ended";
      return {
        ...(await this.#record(snapshot)),
        startedAt,
        finishedAt: clock.now(),
        method: "collection-snapshot",
        isExact: async () => isExact,
        isUnchanged: false,
        contradictions: [],
      };
    } finally {
      await snapshot.remove();
    }
  }

  async #record(snapshot: TemporarySnapshot): Promise<RecordedShard> {
    const recorder = await this.#recorders.open();
    try {
      for await (const entry of snapshot.read()) await recorder.take(entry);
      // No segment manifest comes with it: the next capture has none to begin from, and reads everything.
      return await recorder.finish(false);
    } finally {
      recorder.close();
    }
  }

  async #take(): Promise<TemporarySnapshot | undefined> {
    const { collection, shard, snapshots } = this.#source;
    try {
      return await snapshots.take(collection, shard);
    } catch (error) {
      if (hasCode(error, "QDRANT_REFUSED")) return undefined;
      throw error;
    }
  }
}
