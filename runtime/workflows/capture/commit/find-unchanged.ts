/** Finds the recovery point that says all that a new one would say. */
import { canonicalJson } from "../../../domain/exact-json.ts";
import type { CapturePlan } from "../../../domain/recovery-points/capture-plan.ts";
import type { CollectionFacts } from "../../../domain/recovery-points/collection-facts.ts";
import { missingFrom, sameMissing } from "../../../domain/recovery-points/missing.ts";
import type { CapturedFolder, RecoveryPoint } from "../../../domain/recovery-points/recovery-point.ts";
import type { CollectionReader } from "../../../ports/qdrant.ts";
import type { CaptureBase } from "../../../repository/catalog/read-catalog.ts";
import type { CaptureFacts } from "../capture-facts.ts";
import type { PlannedCapture } from "../planned-capture.ts";
import { type JoinedParts, timeOf } from "./join-parts.ts";

export class UnchangedFinder {
  readonly #database: CollectionReader;
  readonly #facts: CaptureFacts;

  constructor(database: CollectionReader, facts: CaptureFacts) {
    this.#database = database;
    this.#facts = facts;
  }

  /** The recovery point as of now: its shards were found to be as they were then. Undefined when anything changed. */
  async find({ base, before, plan }: PlannedCapture, joined: JoinedParts): Promise<RecoveryPoint | undefined> {
    if (!plan.kinds.includes("qdrant")) {
      const same = withSameFolders(plan, joined, base);
      return same && seenAgain(same, plan, joined);
    }
    if (before === undefined || !holdsSame(before, plan, joined)) return undefined;
    if (!(await this.#haveSameSettings(joined))) return undefined;
    const aliases = await this.#database.aliases();
    return isSameSet(aliases, before.aliases) ? seenAgain(before, plan, joined) : undefined;
  }

  /** Facts of other samples may say the same of the collection. */
  async #haveSameSettings({ collections }: JoinedParts): Promise<boolean> {
    for (const { before, planned } of collections) {
      if (before === undefined) return false;
      if (before.facts === planned.facts) continue;
      const [then, now] = await Promise.all([this.#facts.read(before), this.#facts.read(planned)]);
      const settings = ({ config, payloadIndexes }: CollectionFacts) => canonicalJson([config, payloadIndexes]);
      if (settings(then) !== settings(now)) return false;
    }
    return true;
  }
}

/** Whether the recovery point says all that a new one would say, but for the aliases and the settings of its collections. */
function holdsSame(before: RecoveryPoint, plan: CapturePlan, joined: JoinedParts): boolean {
  const { carried, collections, folders, missing } = joined;
  if (!sameMissing(missingFrom(before), missing)) return false;
  if (canonicalJson(before.excluded ?? []) !== canonicalJson(plan.excluded ?? [])) return false;
  if (plan.type === "full" || plan.epoch !== before.epoch || plan.qdrantVersion !== before.qdrantVersion) return false;
  if (folders.length > 0 || collections.length + carried.length !== before.collections.length) return false;
  return collections.every(({ before: last, isSame }) => last !== undefined && isSame);
}

function isSameSet(now: RecoveryPoint["aliases"], then: RecoveryPoint["aliases"]): boolean {
  const sorted = (aliases: RecoveryPoint["aliases"]) => aliases.toSorted((a, b) => (a.alias < b.alias ? -1 : 1));
  return canonicalJson(sorted(now)) === canonicalJson(sorted(then));
}

/** The newest of the recovery points that hold the folders as they were captured now. */
function withSameFolders(
  plan: CapturePlan,
  { folders, missing }: JoinedParts,
  base: CaptureBase,
): RecoveryPoint | undefined {
  const recoveryPoints = plan.kinds.flatMap((kind) => base.recoveryPoints.get(kind) ?? []);
  if (plan.type === "full" || recoveryPoints.length < plan.kinds.length) return undefined;
  if (recoveryPoints.some(({ epoch }) => epoch !== plan.epoch)) return undefined;
  const lacked = new Set(recoveryPoints.flatMap(missingFrom).filter(({ kind }) => plan.kinds.includes(kind)));
  if (!sameMissing([...lacked], missing)) return undefined;
  const known = plan.kinds.flatMap(
    (kind) => base.recoveryPoints.get(kind)?.folders.filter((each) => each.kind === kind) ?? [],
  );
  const isSame = ({ isExact, kind, name, tree }: CapturedFolder) =>
    known.some(
      (each) => each.kind === kind && each.name === name && each.tree.id === tree.id && each.isExact === isExact,
    );
  if (known.length !== folders.length || !folders.every(isSame)) return undefined;
  return recoveryPoints.sort((a, b) => (a.id < b.id ? -1 : 1)).at(-1);
}

/** The recovery point, as of when its shards were found to be as they were then. */
function seenAgain(recoveryPoint: RecoveryPoint, plan: CapturePlan, joined: JoinedParts): RecoveryPoint {
  const read = new Map(joined.collections.map(({ planned, shards }) => [planned.name, shards]));
  const collections = recoveryPoint.collections.map((collection) => {
    const seen = new Map(read.get(collection.name)?.map(({ shard }) => [shard.id, shard]));
    const shards = collection.shards.map((shard) => {
      const again = seen.get(shard.id);
      return again === undefined ? shard : { ...shard, startedAt: again.startedAt, finishedAt: again.finishedAt };
    });
    return { ...collection, shards };
  });
  return { ...recoveryPoint, collections, time: timeOf(plan, collections) };
}
