/** The optimizations of one shard, as its server tells of them: those that run can undo deletes in what is captured meanwhile. */
import type { Clock } from "../../../ports/clock.ts";
import type { Optimizations, ShardPlacement, ShardReader } from "../../../ports/qdrant.ts";
import { waitAtMost } from "../../../time/wait-until.ts";

const looksEveryMs = 100;

export interface OptimizationSource {
  readonly database: ShardReader;
  readonly collection: string;
  readonly shard: ShardPlacement;
  readonly clock: Clock;
  /** Ends the wait for quiet. */
  readonly signal?: AbortSignal | undefined;
}

export class ShardOptimizations {
  readonly #source: OptimizationSource;

  constructor(source: OptimizationSource) {
    this.#source = source;
  }

  /** As they are, or as they were up to `ageMs` before. Undefined when the server cannot tell. */
  look(ageMs?: number): Promise<Optimizations | undefined> {
    const { collection, database, shard } = this.#source;
    return database.optimizations(collection, shard, ageMs === undefined ? {} : { ageMs });
  }

  /** As they were when they were looked at last: none runs, the server cannot tell, or the time is over. */
  async whenQuiet(withinMs: number, ageMs?: number): Promise<Optimizations | undefined> {
    let age = ageMs;
    let seen: Optimizations | undefined;
    const { clock, signal } = this.#source;
    await waitAtMost(clock, { withinMs, everyMs: looksEveryMs, signal }, async () => {
      seen = await this.look(age);
      age = undefined;
      return seen === undefined || seen.running === 0;
    });
    return seen;
  }
}

/**
 * Whether no optimization ran at the moment the capture froze the shard's segments: none ran before the request, and
 * until the first file of a segment, which is sent after the freeze, none began. What begins later works on other copies.
 * A manifest of all segments may come before the freeze (1.19.0 with its feature flag `write_segment_manifest`).
 */
export function wasQuiet(before: Optimizations | undefined, afterFreeze: Optimizations | undefined): boolean {
  if (before === undefined || afterFreeze === undefined || before.running > 0) return false;
  const begun = new Set(before.begun);
  return afterFreeze.begun.every((mark) => begun.has(mark));
}

/**
 * Whether what ran before still runs. The deletes that running optimizations hold back are in the snapshot's copy of the
 * log, which is made after the copies of the segments: one that ends between the two may take its deletes out of both.
 */
export function noneEnded(before: Optimizations | undefined, after: Optimizations | undefined): boolean {
  return before !== undefined && after !== undefined && before.underWay.every((mark) => after.underWay.includes(mark));
}
