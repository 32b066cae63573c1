/** Plans the capture of one collection: its shards, and the facts that are asked again when it was read. */
import { canonicalJson } from "../../../domain/exact-json.ts";
import { problemOfName } from "../../../domain/qdrant/collection-name.ts";
import { refuseIrreproducibleKeys } from "../../../domain/qdrant/shard-key-plan.ts";
import type { CapturePlan } from "../../../domain/recovery-points/capture-plan.ts";
import { type CollectionFacts, withoutLapsed } from "../../../domain/recovery-points/collection-facts.ts";
import type { DataKey } from "../../../domain/recovery-points/key.ts";
import type { CapturedCollection, CaptureType, Missing } from "../../../domain/recovery-points/recovery-point.ts";
import type { EpochRecord } from "../../../domain/roles/epoch.ts";
import { DrError } from "../../../errors.ts";
import type { Progress } from "../../../ports/progress.ts";
import type { CollectionDescription, VectorDatabase } from "../../../ports/qdrant.ts";
import type { OpenRepository } from "../../../repository/repository.ts";
import { whenReadable } from "../../../repository/when-readable.ts";
import { observeCollection, serveAgain } from "../../observe-collection.ts";
import type { CaptureFacts } from "../capture-facts.ts";
import type { CollectionFailures } from "../collection-failures.ts";
import { obtainDataKey } from "../data-key.ts";
import type { ShardPlacements } from "../shard-placements.ts";
import type { CaptureAssessment } from "./assess-capture.ts";

type PlannedCollection = CapturePlan["collections"][number];

export interface CollectionSource {
  readonly database: VectorDatabase;
  readonly facts: CaptureFacts;
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
    const { database, placements, repository } = this.#source;
    const [described, replicas] = await Promise.all([
      database.describe(name),
      placements.of(name),
      // Asked for meanwhile: it is needed below.
      base && repository.keys.key(base.key),
    ]);
    const shards = new Map(replicas.map(({ id, key }) => [id, { id, key }]));
    refuseIrreproducibleKeys(name, replicas);
    this.#tellOfName(name);
    const key = await obtainDataKey(repository, epoch, { collection: name }, base);
    return {
      name,
      key: key.id,
      ...(await this.#factsOf(described, key, base)),
      shards: [...shards.values()].sort((a, b) => a.id - b.id),
    };
  }

  /** The base's facts where they hold, or new ones. */
  async #factsOf(
    described: CollectionDescription,
    key: DataKey,
    base: CapturedCollection | undefined,
  ): Promise<Pick<PlannedCollection, "facts" | "lapsed" | "pointsBefore">> {
    const { database, facts, progress } = this.#source;
    const settings = {
      config: described.config as CollectionFacts["config"],
      payloadIndexes: described.payloadIndexes as CollectionFacts["payloadIndexes"],
    };
    const inherited = await this.#inheritable(settings, key, base);
    if (inherited !== undefined && base !== undefined) {
      const { lapsed, pointsAfter: pointsBefore } = base;
      const isSame =
        canonicalJson([inherited.config, inherited.payloadIndexes]) === canonicalJson(Object.values(settings));
      if (isSame) return { facts: base.facts, ...(lapsed === undefined ? {} : { lapsed }), pointsBefore };
      return { facts: facts.name(key, { ...withoutLapsed(inherited, lapsed), ...settings }), pointsBefore };
    }
    const tell = (detail: string) => progress({ step: "plan", detail });
    const { pointsBefore, ...answers } = await observeCollection(database, described, key, tell);
    return { facts: facts.name(key, { format: 1, ...settings, ...answers }), pointsBefore };
  }

  /** The base's facts, of which the answers serve again. */
  async #inheritable(
    { config }: Pick<CollectionFacts, "config">,
    key: DataKey,
    base: CapturedCollection | undefined,
  ): Promise<CollectionFacts | undefined> {
    const { facts, type } = this.#source;
    if (type === "full" || base === undefined || base.key !== key.id) return undefined;
    // What cannot be read is asked anew.
    const before = await whenReadable(facts.read(base));
    // Made again under the same name it may be another collection, of which old questions cannot be asked.
    return before !== undefined && hasSameParams(before.config, config) && serveAgain(before, base)
      ? before
      : undefined;
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
