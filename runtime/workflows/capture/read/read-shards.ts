/** Reads one worker's share of the shards of a plan, and stores it. */
import { forEachConcurrently } from "../../../async/for-each-concurrently.ts";
import { Semaphore } from "../../../async/semaphore.ts";
import { chooseReplicas } from "../../../domain/qdrant/choose-replicas.ts";
import { digestOfSegments } from "../../../domain/qdrant/segment-manifest.ts";
import {
  type CapturePart,
  type CapturePlan,
  type ShardResult,
  shareOf,
} from "../../../domain/recovery-points/capture-plan.ts";
import type { CapturedCollection, Missing } from "../../../domain/recovery-points/recovery-point.ts";
import { lineageOf, type ShardTree, shardTreeSchema } from "../../../domain/recovery-points/shard-tree.ts";
import { DrError } from "../../../errors.ts";
import type { Clock } from "../../../ports/clock.ts";
import type { ObjectStoreReader } from "../../../ports/object-store.ts";
import type { Progress } from "../../../ports/progress.ts";
import type { ShardPlacement, VectorDatabase } from "../../../ports/qdrant.ts";
import { readWholeTree } from "../../../repository/content/read-whole-tree.ts";
import type { OpenRepository } from "../../../repository/repository.ts";
import type { CapturePatience } from "../capture-request.ts";
import type { CollectionFailures } from "../collection-failures.ts";
import type { PlannedCapture } from "../planned-capture.ts";
import { captureShard } from "../shard/capture-shard.ts";
import type { ShardBase, ShardCapture } from "../shard/captured-shard.ts";
import type { ShardPlacements } from "../shard-placements.ts";
import type { KnownFingerprints } from "./own-fingerprint.ts";
import { RestartDetector } from "./restart-detector.ts";
import { ShardProgress } from "./shard-progress.ts";
import type { Storing } from "./storing.ts";

/** A recovery point is worth a minute and a snapshot, if that makes it exact. */
const mostPatience: CapturePatience = { quietMs: 60_000, attempts: 3, usesSnapshot: true };

/** Each holds the packs that it fills and stores. */
const usuallyReadAtOnce = 2;
/** What a server tells of its optimizations takes long where it holds many collections: those who wait for it share it. */
const shardsAtOnce = 16;

export interface ShardsSource {
  readonly clock: Clock;
  readonly database: VectorDatabase;
  readonly failures: CollectionFailures;
  readonly repository: OpenRepository;
  readonly placements: ShardPlacements;
  readonly progress: Progress;
  /** A minute, three attempts and a snapshot when left out. */
  readonly patience: CapturePatience | undefined;
  /** Shards that are read side by side; 2 when left out. */
  readonly readAtOnce: number | undefined;
  /** Ends the waits for optimizations. */
  readonly signal: AbortSignal | undefined;
  /** See `FingerprintSource`. */
  readonly control: ObjectStoreReader;
  readonly fingerprints: KnownFingerprints;
  /** Trees that are whole in the repository, as this run remembers them. */
  readonly trees: Map<string, ShardTree> | undefined;
}

/** A shard whose turn it is. */
interface ShardTask {
  readonly collection: CapturePlan["collections"][number];
  readonly id: number;
}

export class ShardsReader {
  readonly #source: ShardsSource;

  constructor(source: ShardsSource) {
    this.#source = source;
  }

  async read(
    planned: PlannedCapture,
    worker: number,
    storing: Storing,
  ): Promise<Pick<CapturePart, "shards" | "readBytes" | "storedBytes"> & { readonly missing: readonly Missing[] }> {
    const { clock, control, database, failures, fingerprints, progress } = this.#source;
    const { readAtOnce = usuallyReadAtOnce } = this.#source;
    const { plan } = planned;
    const all = plan.collections.flatMap((collection) => collection.shards.map(({ id }) => ({ collection, id })));
    const share = shareOf(all, worker, plan.workers);
    const shardProgress = new ShardProgress(clock, progress, share.length);
    const restarts = new RestartDetector({ clock, control, database, known: fingerprints });
    const permits = new Semaphore(readAtOnce);
    const shards: ShardResult[] = [];
    const missing = new Map<string, Missing>();
    let readBytes = 0;
    let storedBytes = 0;
    await forEachConcurrently(shardsAtOnce, share, async (task) => {
      const { name } = task.collection;
      const what = `${name} shard ${task.id}`;
      if (missing.has(name)) return shardProgress.done(what);
      const onRead = (bytes: number) => shardProgress.read(what, bytes);
      try {
        const { capture, shard } = await this.#capture(task, planned, { onRead, permits, restarts, storing });
        readBytes += capture.readBytes;
        storedBytes += capture.storedBytes;
        shards.push(resultOf(name, shard, capture));
      } catch (error) {
        try {
          // Dropped while it was captured: the commit leaves it out. A list that comes back short does not drop anything.
          const lacking = await failures.judge(name, error);
          if (lacking !== undefined) missing.set(name, { ...lacking, because: `${what}: ${lacking.because}` });
        } catch (fatal) {
          permits.close(fatal);
          throw fatal;
        }
      }
      shardProgress.done(what);
    });
    await restarts.refuseChanged();
    const inOrder = (a: ShardResult, b: ShardResult) =>
      a.collection === b.collection ? a.shard.id - b.shard.id : a.collection < b.collection ? -1 : 1;
    const whole = shards.filter(({ collection }) => !missing.has(collection));
    return { shards: whole.sort(inOrder), missing: [...missing.values()], readBytes, storedBytes };
  }

  async #capture(
    { collection: { key, name }, id }: ShardTask,
    planned: PlannedCapture,
    shared: {
      readonly permits: Semaphore;
      readonly restarts: RestartDetector;
      readonly storing: Storing;
      onRead(bytes: number): void;
    },
  ): Promise<{ readonly capture: ShardCapture; readonly shard: ShardPlacement }> {
    const { clock, database, patience = mostPatience, repository, signal, trees } = this.#source;
    const { before, plan } = planned;
    const last = before?.collections.find((collection) => collection.name === name);
    const shard = await this.#replicaOf(name, id, last);
    const { onRead, permits, restarts, storing } = shared;
    const [dataKey, fingerprint, base] = await Promise.all([
      repository.keys.key(key),
      restarts.fingerprintOf(shard),
      // What another key sealed is not built on: the new one takes over whole.
      this.#baseOf(id, last?.key === key ? last : undefined, planned),
    ]);
    const capture = await captureShard({
      database,
      repository,
      key: dataKey,
      collection: name,
      shard,
      lineage: lineageOf({
        region: plan.region,
        epoch: plan.epoch,
        peer: shard.peer,
        fingerprint,
        restore: plan.restore,
      }),
      base,
      isFull: plan.type === "full",
      clock,
      patience,
      permits,
      signal,
      storing,
      onRead,
    });
    trees?.set(capture.tree.id, capture.content);
    return { capture, shard };
  }

  async #replicaOf(name: string, id: number, last: CapturedCollection | undefined): Promise<ShardPlacement> {
    const replicas = chooseReplicas(await this.#source.placements.of(name), last?.shards);
    const shard = replicas.find((replica) => replica.id === id);
    if (shard !== undefined) return shard;
    throw new DrError("CAPTURE_INCOMPLETE", `${name}: shard ${id} is gone`, {
      hint: "capture again",
    });
  }

  async #baseOf(
    id: number,
    last: CapturedCollection | undefined,
    { base: { presence } }: PlannedCapture,
  ): Promise<ShardBase | undefined> {
    const { repository, trees } = this.#source;
    const shard = last?.shards.find((each) => each.id === id);
    if (shard === undefined) return undefined;
    const { isExact, tree } = shard;
    const content = trees?.get(tree.id) ?? (await readWholeTree(repository, tree.id, shardTreeSchema, presence));
    return content && { isExact, tree: { ...content, ...tree } };
  }
}

function resultOf(collection: string, { id, key, peer }: ShardPlacement, capture: ShardCapture): ShardResult {
  const { content, contradictions, finishedAt, isExact, isUnchanged, method, startedAt, tree } = capture;
  return {
    collection,
    shard: {
      id,
      key,
      peer,
      tree,
      startedAt: startedAt.toISOString(),
      finishedAt: finishedAt.toISOString(),
      method,
      isExact,
    },
    segments: digestOfSegments(content.segments),
    isUnchanged,
    contradictions: [...contradictions],
  };
}
