/** Captures a shard from a partial snapshot: Qdrant sends what changed since the base, or everything. */
import { withTimeout } from "../../../async/with-timeout.ts";
import { type SegmentManifest, segmentsThatWentBack } from "../../../domain/qdrant/segment-manifest.ts";
import { readSparseTar } from "../../../domain/qdrant/sparse-tar.ts";
import { DrError } from "../../../errors.ts";
import type { Clock } from "../../../ports/clock.ts";
import type { Optimizations, ShardPlacement, ShardReader } from "../../../ports/qdrant.ts";
import type { ShardBase, TakenCapture } from "./captured-shard.ts";
import { type ShardOptimizations, wasQuiet } from "./shard-optimizations.ts";
import { isOfSegment, type ShardRecorder, type ShardRecorders } from "./shard-recorder.ts";
import { StallError, watchForStall } from "./watch-for-stall.ts";

/** Longer than a busy server takes for an answer. */
const usuallyHeldUpMs = 5_000;
/** Once nothing of its shard is read any more, a server may take this many times `heldUpMs` until it answers again. */
const answersAgainWithin = 12;

export interface PartialSnapshotSource {
  readonly clock: Clock;
  readonly database: ShardReader;
  readonly collection: string;
  readonly shard: ShardPlacement;
  /** The last capture of the shard whose versions compare with those of now. */
  readonly comparable: ShardBase | undefined;
  readonly optimizations: ShardOptimizations;
  /** How long an optimization is waited for before the shard is read once more. */
  readonly quietMs: number;
  /** How long it goes on while its server answers nothing else; 5 s when left out. */
  readonly heldUpMs: number | undefined;
}

export class PartialSnapshotReader {
  readonly #source: PartialSnapshotSource;
  readonly #recorders: ShardRecorders;
  readonly #heldUpMs: number;

  constructor(source: PartialSnapshotSource, recorders: ShardRecorders) {
    this.#source = source;
    this.#recorders = recorders;
    this.#heldUpMs = source.heldUpMs ?? usuallyHeldUpMs;
  }

  /**
   * Gives way once; a server that is only slow would never be captured otherwise. One that goes on to answer nothing will not
   * recover: from 1.18 on, a change of a collection's settings and a capture of it can wait for each other in the last thread
   * that serves the web (`SegmentHolder` in `recreate_optimizers`, 1.19.0).
   */
  async capture(isFull: boolean, before: Optimizations | undefined): Promise<TakenCapture> {
    try {
      return await this.#capture(isFull, before, true);
    } catch (error) {
      if (!(error instanceof StallError)) throw error;
      await this.#refuseUnlessAnswering();
      return this.#capture(isFull, await this.#source.optimizations.whenQuiet(this.#source.quietMs), false);
    }
  }

  /** Answered when whoever waited has been served. */
  async #refuseUnlessAnswering(): Promise<void> {
    const { collection, optimizations, shard } = this.#source;
    await withTimeout(
      answersAgainWithin * this.#heldUpMs,
      `the Qdrant of ${collection} shard ${shard.id} (${shard.peerUrl}), whose capture was given up,`,
      () => optimizations.look(),
      "if it goes on so, restart it, and give it more web workers (QDRANT__SERVICE__MAX_WORKERS=4); change no settings of a collection while it is captured",
    );
  }

  async #capture(isFull: boolean, before: Optimizations | undefined, givesWay: boolean): Promise<TakenCapture> {
    const { comparable, clock, collection, database, optimizations, quietMs, shard } = this.#source;
    const startedAt = clock.now();
    const manifest = isFull || comparable === undefined ? {} : whatQdrantTakes(comparable.tree.segments);
    const stream = await database.captureShard(collection, shard, manifest);
    if (stream === undefined) return this.#asInBase(startedAt);
    const look = () => optimizations.look();
    const endWatch = givesWay ? watchForStall(clock, stream, look, this.#heldUpMs) : undefined;
    let recorder: ShardRecorder | undefined;
    try {
      recorder = await this.#recorders.open();
      if (stream.errored) throw stream.errored;
      let afterFreeze: Promise<Optimizations | undefined> | undefined;
      for await (const entry of readSparseTar(stream)) {
        if (afterFreeze === undefined && isOfSegment(entry.path)) {
          // Not awaited before the stream is read: while a collection waits to be dropped until its capture ends, Qdrant answers
          // nothing at all (1.16.3).
          afterFreeze = look();
          afterFreeze.catch(() => undefined);
        }
        await recorder.take(entry);
      }
      const wentBack = segmentsThatWentBack(comparable?.tree.segments ?? {}, recorder.segments);
      if (wentBack.length === 0 || isFull) {
        const carries = !isFull && comparable !== undefined;
        const stored = await recorder.finish(carries);
        return {
          ...stored,
          startedAt,
          finishedAt: clock.now(),
          method: "partial-snapshot",
          isUnchanged: false,
          contradictions: carries ? [] : recorder.contradictions(comparable?.tree.segments ?? {}),
          isExact: async () => wasQuiet(before, await (afterFreeze ?? look())),
        };
      }
    } finally {
      endWatch?.();
      stream.destroy();
      recorder?.close();
    }
    // The server's history is another one: what it left out would be taken from a past that is not its own.
    return this.#capture(true, await optimizations.whenQuiet(quietMs), false);
  }

  /** The same state as then: what was exact is, and what was not is not. */
  #asInBase(startedAt: Date): TakenCapture {
    const { comparable, clock, collection, shard } = this.#source;
    if (comparable === undefined) {
      throw new DrError(
        "CAPTURE_INCOMPLETE",
        `${collection} shard ${shard.id}: Qdrant sent nothing for a first capture`,
      );
    }
    const { id, size, ...content } = comparable.tree;
    return {
      tree: { id, size },
      content,
      startedAt,
      finishedAt: clock.now(),
      method: "partial-snapshot",
      isExact: async () => comparable.isExact,
      isUnchanged: true,
      contradictions: [],
      readBytes: 0,
      storedBytes: 0,
    };
  }
}

/** Qdrant refuses a manifest of 2 MiB (fixed, 1.16.3); without one it sends everything, which is right as well. */
function whatQdrantTakes(segments: SegmentManifest): SegmentManifest {
  return Buffer.byteLength(JSON.stringify(segments)) < 2_000_000 ? segments : {};
}
