/** Joins what the workers of a capture did, and puts it beside what the base holds. */
import type { CapturePart, CapturePlan, ShardResult } from "../../../domain/recovery-points/capture-plan.ts";
import { missingFrom } from "../../../domain/recovery-points/missing.ts";
import {
  type CapturedCollection,
  type CapturedFolder,
  capturedAt,
  type Missing,
  type RecoveryPoint,
} from "../../../domain/recovery-points/recovery-point.ts";

export interface JoinedParts {
  /** Collections that were read. */
  readonly collections: readonly JoinedCollection[];
  /** Collections that the recovery point holds as its base does. */
  readonly carried: readonly CapturedCollection[];
  readonly folders: readonly CapturedFolder[];
  /** What could not be read, and for how long that has been so where it is carried all the same. */
  readonly missing: readonly Missing[];
}

export interface JoinedCollection {
  readonly planned: CapturePlan["collections"][number];
  /** The collection as the base holds it. */
  readonly before: CapturedCollection | undefined;
  /** In the order of their ids. */
  readonly shards: readonly ShardResult[];
  /** The server said of every shard that nothing changed since the base: what was observed of it then still holds. */
  readonly isUnchanged: boolean;
  /** The shards are those of the base: so they are when nothing changed, and when all was read and found to be the same. */
  readonly isSame: boolean;
}

export function joinParts(
  plan: CapturePlan,
  parts: readonly CapturePart[],
  before: RecoveryPoint | undefined,
): JoinedParts {
  const results = Map.groupBy(
    parts.flatMap((part) => part.shards),
    ({ collection }) => collection,
  );
  const known = new Map(before?.collections.map((collection) => [collection.name, collection]));
  const missing = [...missingFrom(plan), ...parts.flatMap(missingFrom)];
  const lacked = new Set(missing.flatMap(({ kind, name }) => (kind === "qdrant" ? [name] : [])));
  return {
    collections: plan.collections.flatMap((planned) =>
      lacked.has(planned.name)
        ? []
        : [joinCollection(planned, results.get(planned.name) ?? [], known.get(planned.name))],
    ),
    carried: [...carriedFrom(before, plan), ...[...lacked].flatMap((name) => standInFor(name, plan, before) ?? [])],
    folders: parts.flatMap((part) => part.folders),
    missing: missing.map((each) => (each.kind === "qdrant" ? asHeld(each, standInFor(each.name, plan, before)) : each)),
  };
}

/** What the base holds of a collection that was to be read and cannot be. */
export function standInFor(
  name: string,
  { carried, isOfBase }: Pick<CapturePlan, "carried" | "isOfBase">,
  before: RecoveryPoint | undefined,
): CapturedCollection | undefined {
  if (isOfBase !== true || carried?.includes(name)) return undefined;
  return before?.collections.find((collection) => collection.name === name);
}

export function asHeld(missing: Missing, held: CapturedCollection | undefined): Missing {
  const at = held && capturedAt(held);
  return at === undefined ? missing : { ...missing, heldAsOf: at.toISOString() };
}

function joinCollection(
  planned: CapturePlan["collections"][number],
  results: readonly ShardResult[],
  before: CapturedCollection | undefined,
): JoinedCollection {
  const shards = results.toSorted((a, b) => a.shard.id - b.shard.id);
  const known = new Map(before?.shards.map((shard) => [shard.id, shard]));
  const isAsKnown = ({ shard }: ShardResult) => {
    const last = known.get(shard.id);
    return last !== undefined && last.tree.id === shard.tree.id && last.isExact === shard.isExact;
  };
  const areAll = shards.length === before?.shards.length;
  return {
    planned,
    before,
    shards,
    isUnchanged: areAll && shards.length > 0 && shards.every((result) => result.isUnchanged),
    isSame: areAll && shards.every(isAsKnown),
  };
}

/** Plans of before do not say what is carried: all that is not planned is. */
function carriedFrom(base: RecoveryPoint | undefined, plan: CapturePlan): CapturedCollection[] {
  const planned = new Set(plan.collections.map(({ name }) => name));
  const carried = plan.carried && new Set(plan.carried);
  return (base?.collections ?? []).filter(({ name }) => carried?.has(name) ?? !planned.has(name));
}

/** The time that a recovery point stands for: what was not read again stands for the time at which it was read. */
export function timeOf(plan: Pick<CapturePlan, "at">, collections: readonly CapturedCollection[]): string {
  const starts = collections.flatMap(({ shards }) => shards).map(({ startedAt }) => startedAt);
  return [plan.at, ...starts].reduce((oldest, start) => (Date.parse(start) < Date.parse(oldest) ? start : oldest));
}
