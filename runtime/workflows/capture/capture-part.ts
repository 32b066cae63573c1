/** What one worker of a capture reads and stores: its share of the shards and folders of a plan. */
import { forEachConcurrently } from "../../async/for-each-concurrently.ts";
import { Semaphore } from "../../async/semaphore.ts";
import { chooseReplicas } from "../../domain/qdrant/choose-replicas.ts";
import { type CapturePart, type CapturePlan, shareOf } from "../../domain/recovery-points/capture-plan.ts";
import type { DataKey } from "../../domain/recovery-points/key.ts";
import type { CapturedShard, RecoveryPoint } from "../../domain/recovery-points/recovery-point.ts";
import { lineageOf, shardTreeSchema } from "../../domain/recovery-points/shard-tree.ts";
import { DrError } from "../../errors.ts";
import type { ShardPlacement } from "../../ports/qdrant.ts";
import type { CaptureBase } from "../../repository/catalog/read-catalog.ts";
import type { OrphanedPieces } from "../../repository/content/content-writer.ts";
import { readWholeTree } from "../../repository/content/read-whole-tree.ts";
import { type CapturePatience, captureShard } from "./capture-shard.ts";
import { wasDropped } from "./collection-existence.ts";
import type { FolderCapture, FolderContext } from "./folder-capture.ts";
import { type CaptureRequest, type Placements, placementsOf } from "./plan-capture.ts";

/** A recovery point is worth a minute and a snapshot, if that makes it exact. */
const mostPatience: CapturePatience = { quietMs: 60_000, attempts: 3, usesSnapshot: true };

/** Each holds the packs that it fills and stores. */
const usuallyReadAtOnce = 2;
/** What a server tells of its optimizations takes long where it holds many collections: those who wait for it share it. */
const shardsAtOnce = 16;

export interface PartContext {
  readonly plan: CapturePlan;
  readonly base: CaptureBase;
  /** The recovery point that the plan builds on. */
  readonly baseRecoveryPoint: RecoveryPoint | undefined;
  readonly placements: Placements;
  orphaned(): Promise<OrphanedPieces | undefined>;
  beginStoring(): Promise<void>;
}

export async function capturePart(request: CaptureRequest, context: PartContext): Promise<CapturePart> {
  const { plan } = context;
  const worker = request.worker?.index ?? 0;
  const shards = plan.collections.flatMap((collection) => collection.shards.map(({ id }) => ({ collection, id })));
  const share = shareOf(shards, worker, plan.workers);
  const histories = new RestoreDetector(request);
  const turns = new Semaphore(request.readAtOnce ?? usuallyReadAtOnce);
  const told = new ProgressReporter(request, share.length);
  const part: CapturePart = { format: 1, worker, shards: [], folders: [], readBytes: 0, storedBytes: 0 };
  const counted = (stored: { readonly readBytes: number; readonly storedBytes: number }) => {
    part.readBytes += stored.readBytes;
    part.storedBytes += stored.storedBytes;
  };
  await forEachConcurrently(shardsAtOnce, share, async ({ collection: { key, name }, id }) => {
    const base = context.baseRecoveryPoint?.collections.find((collection) => collection.name === name);
    const baseShard = base?.shards.find((shard) => shard.id === id);
    try {
      const shard = chooseReplicas(await placementsOf(request, name, context.placements), base?.shards).find(
        (replica) => replica.id === id,
      );
      if (shard === undefined) {
        throw new DrError("CAPTURE_INCOMPLETE", `${name}: shard ${id} is gone; nothing was committed`, {
          hint: "capture again",
        });
      }
      const captured = await captureOneShard(request, context, {
        collection: name,
        key: await request.repository.keys.key(key),
        shard,
        baseShard,
        history: histories.of(shard),
        turns,
        onRead: (bytes) => told.read(`${name} shard ${id}`, bytes),
      });
      counted(captured);
      part.shards.push(captured.shard);
    } catch (error) {
      // Dropped while it was captured: the commit leaves it out. A list that comes back short does not drop anything.
      if (!(await wasDropped(request, name, error))) {
        turns.close(error);
        throw error;
      }
    }
    told.done(`${name} shard ${id}`);
  });
  await histories.refuseChanged();
  const folders = (request.folders ?? []).filter(({ kind, name }) =>
    plan.folders.some((planned) => planned.kind === kind && planned.name === name),
  );
  for (const source of shareOf(folders, worker, plan.workers)) {
    request.progress({ step: "capture", detail: `${source.kind} ${source.name}` });
    const captured = await source.capture(folderContext(request, context, source));
    counted(captured);
    part.folders.push(captured.folder);
  }
  part.shards.sort((a, b) => (a.collection === b.collection ? a.id - b.id : a.collection < b.collection ? -1 : 1));
  return part;
}

async function captureOneShard(
  request: CaptureRequest,
  { base, beginStoring, plan, orphaned: unclaimed }: PartContext,
  work: {
    readonly collection: string;
    readonly key: DataKey;
    readonly shard: ShardPlacement;
    readonly baseShard: CapturedShard | undefined;
    readonly history: Promise<string>;
    readonly turns: Semaphore;
    onRead(bytes: number): void;
  },
) {
  const { clock, database, repository } = request;
  const { baseShard, collection, key, onRead, shard, turns } = work;
  const trees = request.memory?.trees;
  const [history, baseTree] = await Promise.all([
    work.history,
    baseShard &&
      (trees?.get(baseShard.tree.id) ?? readWholeTree(repository, baseShard.tree.id, shardTreeSchema, base.inventory)),
  ]);
  const capture = await captureShard({
    database,
    repository,
    key,
    collection,
    shard,
    lineage: lineageOf({
      region: plan.region,
      epoch: plan.epoch,
      peer: shard.peer,
      fingerprint: history,
      restore: plan.restore,
    }),
    ...(baseShard === undefined || baseTree === undefined
      ? {}
      : { base: { isExact: baseShard.isExact, tree: { ...baseTree, ...baseShard.tree } } }),
    unclaimed,
    isFull: plan.type === "full",
    clock,
    patience: request.patience ?? mostPatience,
    beginStoring,
    onRead,
    turns,
  });
  const { finishedAt, isExact, startedAt, tree } = capture;
  trees?.set(tree.id, capture.content);
  return {
    readBytes: capture.readBytes,
    storedBytes: capture.storedBytes,
    shard: {
      collection,
      id: shard.id,
      ...(shard.key === undefined ? {} : { key: shard.key }),
      peer: shard.peer,
      tree,
      startedAt: startedAt.toISOString(),
      finishedAt: finishedAt.toISOString(),
      method: capture.method,
      isExact,
      isUnchanged: capture.isUnchanged,
      contradictions: [...capture.contradictions],
    },
  };
}

function folderContext(request: CaptureRequest, context: PartContext, source: FolderCapture): FolderContext {
  const { base, beginStoring, plan, orphaned: unclaimed } = context;
  const before = base.recoveryPoints
    .get(source.kind)
    ?.folders.find(({ kind, name }) => kind === source.kind && name === source.name);
  return {
    repository: request.repository,
    epoch: { active: plan.region, epoch: plan.epoch },
    before,
    inventory: base.inventory,
    isFull: plan.type === "full",
    allowEmpty: request.allowEmpty ?? false,
    unclaimed,
    clock: request.clock,
    memory: request.memory,
    beginStoring,
  };
}

/** What each peer says of its past, asked once before its first shard is read and once after the last. */
class RestoreDetector {
  readonly #request: CaptureRequest;
  readonly #asked = new Map<number, { readonly shard: ShardPlacement; readonly history: Promise<string> }>();

  constructor(request: CaptureRequest) {
    this.#request = request;
  }

  of(shard: ShardPlacement): Promise<string> {
    const known = this.#asked.get(shard.peer);
    if (known !== undefined) return known.history;
    const history = this.#request.database.restoreFingerprint(shard);
    this.#asked.set(shard.peer, { shard, history });
    return history;
  }

  async refuseChanged(): Promise<void> {
    for (const [peer, { history, shard }] of this.#asked) {
      if ((await this.#request.database.restoreFingerprint(shard)) === (await history)) continue;
      throw new DrError("LINEAGE_BROKEN", `peer ${peer} was restarted or restored into during the capture`, {
        hint: "nothing was committed; capture again",
      });
    }
  }
}

/** Says how far the work is, twice a second at most. */
class ProgressReporter {
  readonly #request: CaptureRequest;
  readonly #total: number;
  readonly #begun: number;
  #bytes = 0;
  #done = 0;
  #toldAt = Number.NEGATIVE_INFINITY;

  constructor(request: CaptureRequest, total: number) {
    this.#request = request;
    this.#total = total;
    this.#begun = request.clock.monotonic();
  }

  read(detail: string, bytes: number): void {
    this.#bytes += bytes;
    this.#tell(detail, false);
  }

  done(detail: string): void {
    this.#done += 1;
    this.#tell(detail, this.#done === this.#total);
  }

  #tell(detail: string, isLast: boolean): void {
    const now = this.#request.clock.monotonic();
    if (!isLast && now - this.#toldAt < 500) return;
    this.#toldAt = now;
    const seconds = (now - this.#begun) / 1000;
    this.#request.progress({
      step: "capture",
      detail,
      amount: { bytes: this.#bytes, done: this.#done, total: this.#total, unit: "shards", seconds },
    });
  }
}
