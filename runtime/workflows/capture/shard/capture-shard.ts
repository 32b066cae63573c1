/**
 * Captures one shard into the repository: reads what changed since its last capture, stores what is not stored yet, and
 * names a tree from which the whole shard can be put together without Qdrant's help.
 */
import type { Semaphore } from "../../../async/semaphore.ts";
import type { DataKey } from "../../../domain/recovery-points/key.ts";
import type { Clock } from "../../../ports/clock.ts";
import type { ShardPlacement, VectorDatabase } from "../../../ports/qdrant.ts";
import type { OpenRepository } from "../../../repository/repository.ts";
import type { CapturePatience } from "../capture-request.ts";
import type { Storing } from "../read/storing.ts";
import type { ShardBase, ShardCapture } from "./captured-shard.ts";
import { CollectionSnapshotReader } from "./collection-snapshot-reader.ts";
import { PartialSnapshotReader } from "./partial-snapshot-reader.ts";
import { QuietTurn } from "./quiet-turn.ts";
import { ShardOptimizations } from "./shard-optimizations.ts";
import { ShardRecorders } from "./shard-recorder.ts";
import { TemporarySnapshots } from "./temporary-snapshot.ts";

export interface ShardCaptureRequest {
  readonly database: VectorDatabase;
  readonly repository: OpenRepository;
  readonly key: DataKey;
  readonly collection: string;
  readonly shard: ShardPlacement;
  readonly lineage: string;
  /** The last capture of this shard, if there is one, and all of its tree is there. */
  readonly base?: ShardBase | undefined;
  /** Read everything, whatever the base says. */
  readonly isFull: boolean;
  readonly clock: Clock;
  readonly storing?: Storing | undefined;
  /** Told how many bytes came since the last call. */
  readonly onRead?: ((bytes: number) => void) | undefined;
  readonly patience: CapturePatience;
  /** Ends the waits for optimizations. */
  readonly signal?: AbortSignal | undefined;
  /** Has a permit while the shard is read and stored; not while it waits for quiet beforehand, or for what the server tells of it afterwards. */
  readonly permits: Semaphore;
  /** How long it goes on while its server answers nothing else; 5 s when left out. */
  readonly heldUpMs?: number | undefined;
}

/**
 * Captures until it is known to be exact, or patience ends; the last capture then says that it is not. What cannot be had
 * exactly because an optimization does not end, or one begins each time, is taken from a collection snapshot.
 */
export async function captureShard(request: ShardCaptureRequest): Promise<ShardCapture> {
  const { attempts, usesSnapshot } = request.patience;
  const { fromCollectionSnapshot, fromPartialSnapshot, quietTurn } = readersOf(request);
  let isFull = request.isFull;
  let hasOneBegun = false;
  for (let attempt = 1; ; attempt += 1) {
    const isLast = attempt >= attempts;
    const attempted = await quietTurn.run(async (before) => {
      const isOutlasted = before !== undefined && (before.running > 0 || (hasOneBegun && isLast));
      const taken = isOutlasted && usesSnapshot ? await fromCollectionSnapshot.capture(isLast) : "refused";
      return { before, taken: taken === "refused" ? await fromPartialSnapshot.capture(isFull, before) : taken };
    });
    if (attempted.taken === "ended") continue;
    const { isExact, ...rest } = attempted.taken;
    const capture = { ...rest, isExact: await isExact() };
    if (capture.isExact) return capture;
    // Unchanged since a capture that was not exact: only what is read anew can be.
    const isWorthReading = capture.isUnchanged && !isFull && attempted.before?.running === 0;
    if (isLast && !isWorthReading) return capture;
    if (capture.isUnchanged) isFull = true;
    else hasOneBegun = true;
  }
}

/** Each is told what it needs of the shard. */
function readersOf(request: ShardCaptureRequest) {
  const { clock, collection, database, heldUpMs, key, lineage, onRead, patience, repository, shard, signal } = request;
  const comparable = request.base?.tree.lineage === lineage ? request.base : undefined;
  const optimizations = new ShardOptimizations({ clock, collection, database, shard, signal });
  const snapshots = new TemporarySnapshots({ clock, control: repository.stores.control, database });
  const recorders = new ShardRecorders(
    { repository, key, collection, shard: shard.id, lineage, found: request.base, onRead },
    request.storing,
  );
  const { quietMs } = patience;
  return {
    quietTurn: new QuietTurn({ clock, optimizations, quietMs, permits: request.permits }),
    fromPartialSnapshot: new PartialSnapshotReader(
      { clock, database, collection, shard, comparable, optimizations, quietMs, heldUpMs },
      recorders,
    ),
    fromCollectionSnapshot: new CollectionSnapshotReader(
      { clock, collection, shard, optimizations, snapshots },
      recorders,
    ),
  };
}
