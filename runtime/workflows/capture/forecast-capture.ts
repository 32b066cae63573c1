/**
 * What a capture would read, shard by shard. It begins as a capture does, so that it refuses what a capture refuses; then it looks
 * only: nothing is stored, and no snapshot is asked of Qdrant.
 */
import { forEachConcurrently } from "../../async/for-each-concurrently.ts";
import { canonicalJson } from "../../domain/exact-json.ts";
import { chooseReplicas } from "../../domain/qdrant/choose-replicas.ts";
import { refuseIrreproducibleKeys } from "../../domain/qdrant/shard-key-plan.ts";
import type { CapturedShard, DataKind, Missing } from "../../domain/recovery-points/recovery-point.ts";
import { lineageOf, shardTreeSchema } from "../../domain/recovery-points/shard-tree.ts";
import type { ShardPlacement } from "../../ports/qdrant.ts";
import { newestRestore } from "../../repository/control/restore-records.ts";
import { whenReadable } from "../../repository/when-readable.ts";
import { collectionsAtOnce } from "../concurrency.ts";
import { phasesOf } from "./capture-phases.ts";
import type { CaptureRequest } from "./capture-request.ts";
import { CollectionFailures } from "./collection-failures.ts";
import type { CaptureAssessment } from "./plan/assess-capture.ts";
import { refuseHalfMade } from "./plan/plan-collection.ts";
import { ownFingerprint } from "./read/own-fingerprint.ts";

export interface ShardForecast {
  readonly collection: string;
  readonly shard: number;
  readonly peer: number;
  readonly reads: "everything" | "what changed" | "nothing";
  /** Why everything is read. */
  readonly because?: string | undefined;
  /** Bytes of the shard's packs at its last capture; absent when it was never captured. */
  readonly lastStoredBytes?: number | undefined;
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
  /** Collections that could not be read. */
  readonly missing: readonly Missing[];
  /** Collections that would be left out on purpose. */
  readonly excluded: readonly string[];
  /** Shards that move: a capture waits until they do not, and is refused when that takes long. */
  readonly movements: readonly string[];
}

export async function forecastCapture(request: CaptureRequest): Promise<CaptureForecast> {
  const { clock, database, mustBeWhole = false, region, repository, type } = request;
  const { assessor, bases } = phasesOf(request);
  const failures = new CollectionFailures({ clock, database, mustBeWhole });
  const assessed = await assessor.assess(await bases.find());
  const { base, carried, epoch, folders, qdrantVersion, wanted } = assessed;
  const forecaster = new CollectionForecaster(
    { clock, control: request.control, database, region, repository, type },
    assessed,
  );
  const found: CollectionForecast[] = [];
  const missing: Missing[] = [...assessed.missing];
  await forEachConcurrently(collectionsAtOnce, wanted, async (name) => {
    try {
      refuseHalfMade(name, assessed.halfMade);
      found.push(await forecaster.forecast(name));
    } catch (error) {
      const lacking = await failures.judge(name, error);
      if (lacking !== undefined) missing.push(lacking);
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
    missing,
    excluded: assessed.excluded,
    folders,
    movements: found.flatMap(({ movements, name }) => movements.map((movement) => `${name}: ${movement}`)),
  };
}

interface CollectionForecast {
  readonly name: string;
  readonly movements: readonly string[];
  readonly shards: readonly ShardForecast[];
}

type ForecastSource = Pick<CaptureRequest, "clock" | "control" | "database" | "region" | "repository" | "type">;

class CollectionForecaster {
  readonly #source: ForecastSource;
  readonly #assessed: CaptureAssessment;

  constructor(source: ForecastSource, assessed: CaptureAssessment) {
    this.#source = source;
    this.#assessed = assessed;
  }

  async forecast(name: string): Promise<CollectionForecast> {
    const before = this.#assessed.base?.collections.find((collection) => collection.name === name)?.shards;
    const { database } = this.#source;
    const [{ movements, shards: replicas }] = await Promise.all([database.layout(name), database.describe(name)]);
    refuseIrreproducibleKeys(name, replicas);
    const shards: ShardForecast[] = [];
    for (const shard of chooseReplicas(replicas, before)) {
      const last = before?.find(({ id }) => id === shard.id);
      const read = await this.#forecastShard(name, shard, last);
      shards.push({ collection: name, shard: shard.id, peer: shard.peer, ...read });
    }
    return { name, movements, shards };
  }

  async #forecastShard(
    collection: string,
    shard: ShardPlacement,
    last: CapturedShard | undefined,
  ): Promise<Pick<ShardForecast, "reads" | "because" | "lastStoredBytes">> {
    const { clock, database, region, repository, type } = this.#source;
    if (last === undefined) return { reads: "everything", because: "it was never captured" };
    const tree = await whenReadable(repository.readTree(last.tree.id, shardTreeSchema));
    if (tree === undefined) return { reads: "everything", because: "its last capture cannot be read" };
    const lastStoredBytes = tree.packs.reduce((sum, { size }) => sum + size, 0);
    if (type === "full") return { reads: "everything", because: "a full capture compares contents", lastStoredBytes };
    const control = this.#source.control ?? repository.stores.control;
    const fingerprint = await ownFingerprint({ clock, control, database, known: new Map() }, shard);
    const { epoch, restores } = this.#assessed;
    const restore = newestRestore(restores);
    if (tree.lineage !== lineageOf({ region, epoch: epoch.epoch, peer: shard.peer, fingerprint, restore })) {
      const because = "its versions cannot be compared: another peer, a restart, a restore or a failover";
      return { reads: "everything", because, lastStoredBytes };
    }
    const segments = await database.segments(collection, shard);
    const isSame = segments !== undefined && canonicalJson(segments) === canonicalJson(tree.segments);
    return { reads: isSame ? "nothing" : "what changed", lastStoredBytes };
  }
}
