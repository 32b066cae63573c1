/**
 * What a capture would read, shard by shard. It begins as a capture does, so that it refuses what a capture refuses; then it looks
 * only: nothing is stored, and no snapshot is asked of Qdrant.
 */
import { forEachConcurrently } from "../../async/for-each-concurrently.ts";
import { canonicalJson } from "../../domain/exact-json.ts";
import { chooseReplicas } from "../../domain/qdrant/choose-replicas.ts";
import type { CapturedShard, DataKind, RecoveryPoint } from "../../domain/recovery-points/recovery-point.ts";
import { lineageOf, shardTreeSchema } from "../../domain/recovery-points/shard-tree.ts";
import type { ShardPlacement } from "../../ports/qdrant.ts";
import { readCaptureBase } from "../../repository/catalog/read-catalog.ts";
import { newestRestore } from "../../repository/control/restore-records.ts";
import { whenReadable } from "../../repository/when-readable.ts";
import { collectionsAtOnce } from "../concurrency.ts";
import { nameUnreadable } from "../name-unreadable.ts";
import { wasDropped } from "./collection-existence.ts";
import { assessCapture, type CaptureAssessment, type CaptureRequest } from "./plan-capture.ts";

export interface ShardForecast {
  readonly collection: string;
  readonly shard: number;
  readonly peer: number;
  readonly reads: "everything" | "what changed" | "nothing";
  /** Why everything is read. */
  readonly because?: string;
  /** Bytes of the shard's packs at its last capture; absent when it was never captured. */
  readonly lastStoredBytes?: number;
}

export interface CaptureForecast {
  readonly region: string;
  readonly epoch: number;
  readonly qdrantVersion: string | undefined;
  /** The recovery point that is built on. */
  readonly base: string | undefined;
  readonly shards: readonly ShardForecast[];
  /** Collections that stay as in the base. */
  readonly carried: readonly string[];
  readonly folders: readonly { readonly kind: DataKind; readonly name: string }[];
  /** Shards that move: a capture waits until they do not, and is refused when that takes long. */
  readonly movements: readonly string[];
}

export async function forecastCapture(request: CaptureRequest): Promise<CaptureForecast> {
  const { kinds = ["qdrant"], progress, region, repository } = request;
  const assessed = await assessCapture(request, await readCaptureBase(repository, kinds, nameUnreadable(progress)));
  const { base, carried, epoch, folders, qdrantVersion, wanted } = assessed;
  const found: CollectionForecast[] = [];
  await forEachConcurrently(collectionsAtOnce, wanted, async (name) => {
    try {
      found.push(await forecastCollection(request, assessed, name));
    } catch (error) {
      if (!(await wasDropped(request, name, error))) throw error;
    }
  });
  found.sort((a, b) => (a.name < b.name ? -1 : 1));
  return {
    region,
    epoch: epoch.epoch,
    qdrantVersion,
    base: base?.id,
    shards: found.flatMap(({ shards }) => shards),
    carried,
    folders,
    movements: found.flatMap(({ movements, name }) => movements.map((movement) => `${name}: ${movement}`)),
  };
}

interface CollectionForecast {
  readonly name: string;
  readonly movements: readonly string[];
  readonly shards: readonly ShardForecast[];
}

async function forecastCollection(
  request: CaptureRequest,
  assessed: CaptureAssessment,
  name: string,
): Promise<CollectionForecast> {
  const before = capturedIn(assessed.base, name);
  const { movements, shards: replicas } = await request.database.layout(name);
  const shards: ShardForecast[] = [];
  for (const shard of chooseReplicas(replicas, before)) {
    const last = before?.find(({ id }) => id === shard.id);
    const read = await forecastShard(request, assessed, name, shard, last);
    shards.push({ collection: name, shard: shard.id, peer: shard.peer, ...read });
  }
  return { name, movements, shards };
}

function capturedIn(base: RecoveryPoint | undefined, collection: string): CapturedShard[] | undefined {
  return base?.collections.find(({ name }) => name === collection)?.shards;
}

async function forecastShard(
  { database, region, repository, type }: CaptureRequest,
  { epoch, restores }: CaptureAssessment,
  collection: string,
  shard: ShardPlacement,
  last: CapturedShard | undefined,
): Promise<Pick<ShardForecast, "reads" | "because" | "lastStoredBytes">> {
  if (last === undefined) return { reads: "everything", because: "it was never captured" };
  const tree = await whenReadable(repository.readTree(last.tree.id, shardTreeSchema));
  if (tree === undefined) return { reads: "everything", because: "its last capture cannot be read" };
  const lastStoredBytes = tree.packs.reduce((sum, { size }) => sum + size, 0);
  if (type === "full") return { reads: "everything", because: "a full capture compares contents", lastStoredBytes };
  const history = await database.restoreFingerprint(shard);
  const restore = newestRestore(restores);
  if (tree.lineage !== lineageOf({ region, epoch: epoch.epoch, peer: shard.peer, fingerprint: history, restore })) {
    const because = "its versions cannot be compared: another peer, a restart, a restore or a failover";
    return { reads: "everything", because, lastStoredBytes };
  }
  const segments = await database.segments(collection, shard);
  const isSame = segments !== undefined && canonicalJson(segments) === canonicalJson(tree.segments);
  return { reads: isSame ? "nothing" : "what changed", lastStoredBytes };
}
