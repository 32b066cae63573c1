/** The bodies of requests that bring to a Qdrant what happened to another. */
import { isRecord } from "../../domain/exact-json.ts";
import type { PointChange } from "../../ports/qdrant.ts";

/** One request: the deletion first, then the points. Undefined when there is nothing to do. */
export function replacementOf({ deleted, points, shardKey }: PointChange): string | undefined {
  const key = shardKey === undefined ? "" : `,"shard_key":${shardKey}`;
  const operations = [
    ...(deleted.length === 0 ? [] : [`{"delete":{"points":[${deleted.join(",")}]${key}}}`]),
    ...(points.length === 0 ? [] : [`{"upsert":{"points":[${points.join(",")}]${key}}}`]),
  ];
  return operations.length === 0 ? undefined : `{"operations":[${operations.join(",")}]}`;
}

/** Of the settings of a collection, as Qdrant tells them, those that can be changed, as it wants them. */
export function changeableSettings(config: Readonly<Record<string, unknown>>): object {
  const params = recordIn(config["params"]);
  const { sparse_vectors, vectors, ...others } = params;
  const changeable = ["replication_factor", "write_consistency_factor", "read_fan_out_factor", "on_disk_payload"];
  const optimizers = recordIn(config["optimizer_config"]);
  return {
    vectors: vectorsIn(vectors),
    ...(isRecord(sparse_vectors) ? { sparse_vectors } : {}),
    params: Object.fromEntries(changeable.flatMap((name) => (isSet(others[name]) ? [[name, others[name]]] : []))),
    hnsw_config: config["hnsw_config"],
    // Null would leave the number of threads as it is (1.16.3).
    optimizers_config: { ...optimizers, max_optimization_threads: optimizers["max_optimization_threads"] ?? "auto" },
    quantization_config: config["quantization_config"] ?? "Disabled",
    ...(isSet(config["metadata"]) ? { metadata: config["metadata"] } : {}),
  };
}

/** The unnamed vector has the empty name. */
function vectorsIn(vectors: unknown): object {
  if (!isRecord(vectors)) return {};
  const named = "size" in vectors && "distance" in vectors ? { "": vectors } : vectors;
  return Object.fromEntries(
    Object.entries(named).map(([name, vector]) => {
      const { hnsw_config, on_disk, quantization_config } = recordIn(vector);
      const told = Object.entries({ hnsw_config, on_disk, quantization_config }).filter(([, value]) => isSet(value));
      return [name, Object.fromEntries(told)];
    }),
  );
}

function recordIn(value: unknown): Readonly<Record<string, unknown>> {
  return isRecord(value) ? value : {};
}

function isSet(value: unknown): boolean {
  return value !== null && value !== undefined;
}
