/** What a target tells of a collection that stands there. */
import { isRecord } from "../../domain/exact-json.ts";
import { chooseReplicas } from "../../domain/qdrant/choose-replicas.ts";
import type { SegmentManifest } from "../../domain/qdrant/segment-manifest.ts";
import { markOfSettings } from "../../domain/qdrant/shard-mark.ts";
import { hasCode } from "../../errors.ts";
import type { CollectionDescription, ShardPlacement, VectorDatabase } from "../../ports/qdrant.ts";

export interface DescribedCollection {
  /** Of its settings, as the target describes them. */
  readonly mark: string;
  readonly optimizes: boolean;
  /** Every Active replica of each shard. */
  readonly replicas: readonly ShardPlacement[];
}

/** Undefined when Qdrant cannot tell: a shard of it is half-made. */
export async function describeCollection(
  target: VectorDatabase,
  name: string,
): Promise<DescribedCollection | undefined> {
  try {
    const description = await target.describe(name);
    const { config, payloadIndexes } = description;
    const replicas = await target.shards(name);
    return {
      mark: markOfSettings({ config, payloadIndexes }, chooseReplicas(replicas)),
      optimizes: optimizes(description),
      replicas,
    };
  } catch (error) {
    if (hasCode(error, "QDRANT_REFUSED")) return undefined;
    throw error;
  }
}

/** The replicas with their segments; undefined when one of them is not whole. */
export async function readSegments(
  target: VectorDatabase,
  name: string,
  replicas: readonly ShardPlacement[],
): Promise<(ShardPlacement & { readonly segments: SegmentManifest })[] | undefined> {
  const read = [];
  for (const replica of replicas) {
    const segments = await target.segments(name, replica);
    if (segments === undefined) return undefined;
    read.push({ ...replica, segments });
  }
  return read;
}

export function optimizes({ config }: CollectionDescription): boolean {
  const optimizers = config["optimizer_config"];
  return !isRecord(optimizers) || optimizers["max_optimization_threads"] !== 0;
}
