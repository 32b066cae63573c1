/** Plans the capture of one collection: its shards, and the facts that are asked again when it was read. */
import { canonicalJson } from "../../../domain/exact-json.ts";
import { problemOfName } from "../../../domain/qdrant/collection-name.ts";
import { refuseIrreproducibleKeys } from "../../../domain/qdrant/shard-key-plan.ts";
import type { CapturePlan } from "../../../domain/recovery-points/capture-plan.ts";
import type { CapturedCollection, CaptureType, Missing } from "../../../domain/recovery-points/recovery-point.ts";
import type { EpochRecord } from "../../../domain/roles/epoch.ts";
import { DrError } from "../../../errors.ts";
import type { Progress } from "../../../ports/progress.ts";
import type { VectorDatabase } from "../../../ports/qdrant.ts";
import type { OpenRepository } from "../../../repository/repository.ts";
import { inheritedFacts, observeCollection } from "../../observe-collection.ts";
import type { CollectionFailures } from "../collection-failures.ts";
import { obtainDataKey } from "../data-key.ts";
import type { ShardPlacements } from "../shard-placements.ts";
import type { CaptureAssessment } from "./assess-capture.ts";

type PlannedCollection = CapturePlan["collections"][number];

export interface CollectionSource {
  readonly database: VectorDatabase;
  readonly failures: CollectionFailures;
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

  /** Neither when the collection was dropped meanwhile. */
  async plan(
    name: string,
    epoch: EpochRecord,
    { base, halfMade }: Pick<CaptureAssessment, "base" | "halfMade">,
  ): Promise<{ readonly planned?: PlannedCollection; readonly missing?: Missing }> {
    try {
      refuseHalfMade(name, halfMade);
      const before = base?.collections.find((collection) => collection.name === name);
      return { planned: await this.#plan(name, epoch, before) };
    } catch (error) {
      const missing = await this.#source.failures.judge(name, error);
      return missing === undefined ? {} : { missing };
    }
  }

  /** Made by a version that took the name; what restores it may not. */
  #tellOfName(name: string): void {
    const problem = problemOfName(name);
    if (problem === undefined) return;
    const detail = `${JSON.stringify(name)} is captured, and can be restored only under another name (--as): ${problem}`;
    this.#source.progress({ step: "plan", detail });
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
    refuseIrreproducibleKeys(name, replicas);
    this.#tellOfName(name);
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

/** What it holds is not what anybody wrote. The recovery point keeps it as it was before, where it was captured. */
export function refuseHalfMade(name: string, halfMade: CaptureAssessment["halfMade"]): void {
  const restore = halfMade.get(name);
  if (restore === undefined) return;
  throw new DrError("CAPTURE_INCOMPLETE", `restore ${restore} was cut off and left it half-made`, {
    hint: "restore it again with --discard-unfinished, or delete it yourself. A day after the restore it is captured as it is",
  });
}

function hasSameParams(before: unknown, now: unknown): boolean {
  const paramsOf = (config: unknown) => canonicalJson((config as { params?: unknown }).params ?? null);
  return paramsOf(before) === paramsOf(now);
}
