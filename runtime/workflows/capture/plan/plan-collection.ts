/** Plans the capture of one collection: its shards, and the facts that are asked again when it was read. */
import { canonicalJson } from "../../../domain/exact-json.ts";
import { planShardKeys } from "../../../domain/qdrant/shard-key-plan.ts";
import type { CapturePlan } from "../../../domain/recovery-points/capture-plan.ts";
import type { CapturedCollection, CaptureType, RecoveryPoint } from "../../../domain/recovery-points/recovery-point.ts";
import type { EpochRecord } from "../../../domain/roles/epoch.ts";
import type { Clock } from "../../../ports/clock.ts";
import type { Progress } from "../../../ports/progress.ts";
import type { VectorDatabase } from "../../../ports/qdrant.ts";
import type { OpenRepository } from "../../../repository/repository.ts";
import { inheritedFacts, observeCollection } from "../../observe-collection.ts";
import { wasDropped } from "../collection-existence.ts";
import { obtainDataKey } from "../data-key.ts";
import type { ShardPlacements } from "../shard-placements.ts";

type PlannedCollection = CapturePlan["collections"][number];

export interface CollectionSource {
  readonly clock: Clock;
  readonly database: VectorDatabase;
  readonly placements: ShardPlacements;
  readonly progress: Progress;
  readonly repository: OpenRepository;
  readonly type: CaptureType;
}

export class CollectionPlanner {
  readonly #source: CollectionSource;

  constructor(source: CollectionSource) {
    this.#source = source;
  }

  /** Undefined when the collection was dropped meanwhile. */
  async plan(
    name: string,
    epoch: EpochRecord,
    base: RecoveryPoint | undefined,
  ): Promise<PlannedCollection | undefined> {
    const { clock, database } = this.#source;
    try {
      return await this.#plan(
        name,
        epoch,
        base?.collections.find((collection) => collection.name === name),
      );
    } catch (error) {
      if (!(await wasDropped({ clock, database }, name, error))) throw error;
      return undefined;
    }
  }

  async #plan(name: string, epoch: EpochRecord, base: CapturedCollection | undefined): Promise<PlannedCollection> {
    const { database, placements, progress, repository, type } = this.#source;
    const [{ config, payloadIndexes }, replicas] = await Promise.all([
      database.describe(name),
      placements.of(name),
      // Asked for meanwhile: it is needed below.
      base && repository.keys.key(base.key),
    ]);
    const shards = new Map(replicas.map(({ id, key }) => [id, { id, key }]));
    // What no target could be given again is not called a recovery point.
    if (replicas.some(({ key }) => key !== undefined)) planShardKeys(name, [...shards.values()]);
    const key = await obtainDataKey(repository, epoch, { collection: name }, base);
    // Made again under the same name it may be another collection, of which old questions cannot be asked.
    const isOfBase = base !== undefined && hasSameParams(base.config, config);
    const inherited = type === "full" || !isOfBase ? undefined : inheritedFacts(base);
    return {
      name,
      key: key.id,
      config: config as CapturedCollection["config"],
      payloadIndexes: payloadIndexes as CapturedCollection["payloadIndexes"],
      ...(inherited ?? (await observeCollection(database, name, key, (detail) => progress({ step: "plan", detail })))),
      shards: [...shards.values()].sort((a, b) => a.id - b.id),
    };
  }
}

function hasSameParams(before: unknown, now: unknown): boolean {
  const paramsOf = (config: unknown) => canonicalJson((config as { params?: unknown }).params ?? null);
  return paramsOf(before) === paramsOf(now);
}
