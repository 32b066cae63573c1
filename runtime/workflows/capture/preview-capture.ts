/** What a capture would read, shard by shard, found out without storing anything. */

import { newestEpoch } from "../../domain/estate/epoch.ts";
import type { CapturedShard, DataKind } from "../../domain/points/recovery-point.ts";
import { lineageOf, shardTreeSchema } from "../../domain/points/shard-tree.ts";
import { chooseReplicas } from "../../domain/qdrant/choose-replicas.ts";
import type { ShardPlacement } from "../../ports.ts";
import { readCaptureBase } from "../../repository/read-catalog.ts";
import { newestRestore, readRestores } from "../../repository/restore-records.ts";
import { whenReadable } from "../../repository/when-readable.ts";
import type { CaptureRequest } from "./plan-capture.ts";

export interface ShardPreview {
  readonly collection: string;
  readonly shard: number;
  readonly peer: number;
  readonly reads: "everything" | "what changed" | "nothing";
  /** Why everything is read. */
  readonly because?: string;
  /** Bytes of the shard's packs at its last capture; absent when it was never captured. */
  readonly lastStoredBytes?: number;
}

export interface CapturePreview {
  readonly base?: string;
  readonly shards: readonly ShardPreview[];
  readonly folders: readonly { readonly kind: DataKind; readonly name: string }[];
}

export async function previewCapture(request: CaptureRequest): Promise<CapturePreview> {
  const { database, folders = [], kinds = ["qdrant"], repository } = request;
  const base = await readCaptureBase(repository, kinds);
  const point = base.points.get("qdrant");
  const restore = newestRestore(await readRestores(repository.stores.control));
  const epoch = newestEpoch(base.epochs)?.epoch ?? 0;
  const shards: ShardPreview[] = [];
  const present = kinds.includes("qdrant") ? await database.collections() : [];
  for (const collection of present.filter((name) => request.collections?.includes(name) ?? true)) {
    const before = point?.collections.find(({ name }) => name === collection)?.shards;
    for (const shard of chooseReplicas(await database.shards(collection), before)) {
      const history = await database.history(shard);
      const lineage = lineageOf({ region: request.region, epoch, peer: shard.peer, history, restore });
      const last = before?.find(({ id }) => id === shard.id);
      shards.push({
        collection,
        shard: shard.id,
        peer: shard.peer,
        ...(await previewShard(request, collection, shard, last, lineage)),
      });
    }
  }
  return {
    ...(point === undefined ? {} : { base: point.id }),
    shards,
    folders: folders.filter(({ kind }) => kinds.includes(kind)).map(({ kind, name }) => ({ kind, name })),
  };
}

async function previewShard(
  { database, repository, type }: CaptureRequest,
  collection: string,
  shard: ShardPlacement,
  last: CapturedShard | undefined,
  lineage: string,
): Promise<Pick<ShardPreview, "reads" | "because" | "lastStoredBytes">> {
  if (last === undefined) return { reads: "everything", because: "it was never captured" };
  const tree = await whenReadable(repository.readTree(last.tree.id, shardTreeSchema));
  if (tree === undefined) return { reads: "everything", because: "its last capture cannot be read" };
  const lastStoredBytes = tree.packs.reduce((sum, { size }) => sum + size, 0);
  if (type === "full") return { reads: "everything", because: "a full capture compares contents", lastStoredBytes };
  if (tree.lineage !== lineage) {
    const because = "its versions cannot be compared: another peer, a restart, a restore or a failover";
    return { reads: "everything", because, lastStoredBytes };
  }
  const stream = await database.captureShard(collection, shard, tree.segments);
  stream?.destroy();
  return { reads: stream === undefined ? "nothing" : "what changed", lastStoredBytes };
}
