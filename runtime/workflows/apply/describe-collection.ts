/** What a target tells of a collection that stands there. */
import { isRecord } from "../../domain/exact-json.ts";
import { chooseReplicas } from "../../domain/qdrant/choose-replicas.ts";
import { markOfSettings } from "../../domain/qdrant/shard-mark.ts";
import { hasCode } from "../../errors.ts";
import type { CollectionDescription, ShardPlacement, VectorDatabase } from "../../ports/qdrant.ts";

export interface DescribedCollection {
  /** Of its settings, as the target describes them. */
  readonly mark: string;
  readonly optimizes: boolean;
  /** One replica of each shard. */
  readonly owners: readonly ShardPlacement[];
  readonly replicas: number;
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
    const owners = chooseReplicas(replicas);
    return {
      mark: markOfSettings({ config, payloadIndexes }, owners),
      optimizes: optimizes(description),
      owners,
      replicas: replicas.length,
    };
  } catch (error) {
    if (hasCode(error, "QDRANT_REFUSED")) return undefined;
    throw error;
  }
}

export function optimizes({ config }: CollectionDescription): boolean {
  const optimizers = config["optimizer_config"];
  return !isRecord(optimizers) || optimizers["max_optimization_threads"] !== 0;
}
