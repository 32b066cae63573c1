/** Puts the parts of a capture together, asks again what was asked before, and commits with one create-only write. */
import { forEachConcurrently } from "../../async/for-each-concurrently.ts";
import { canonicalJson } from "../../domain/exact-json.ts";
import type { CapturePart, CapturePlan } from "../../domain/recovery-points/capture-plan.ts";
import type { CapturedCollection, RecoveryPoint } from "../../domain/recovery-points/recovery-point.ts";
import { DrError } from "../../errors.ts";
import { attest } from "../../repository/catalog/attest.ts";
import { readCatalog } from "../../repository/catalog/read-catalog.ts";
import { newestRestore, readRestores } from "../../repository/control/restore-records.ts";
import { collectionsAtOnce } from "../concurrency.ts";
import { confirmFacts } from "../observe-collection.ts";
import { isGone } from "./collection-existence.ts";
import { type CaptureRequest, controlOf, stillReplicas } from "./plan-capture.ts";

export async function commitCapture(
  request: CaptureRequest,
  plan: CapturePlan,
  parts: readonly CapturePart[],
  baseRecoveryPoint: RecoveryPoint | undefined,
): Promise<RecoveryPoint> {
  const { allowEmpty = false, clock, database, repository, toolVersion } = request;
  const hasQdrant = plan.kinds.includes("qdrant");
  const [collections, aliases] = hasQdrant
    ? await Promise.all([assembleCollections(request, plan, parts, baseRecoveryPoint), database.aliases()])
    : [[], []];
  if (request.choose !== undefined)
    refuseNewlyLedToCarried(aliases, carriedFrom(baseRecoveryPoint, plan), baseRecoveryPoint);
  const folders = parts.flatMap((part) => part.folders);
  for (const { kind, name } of plan.folders) {
    if (folders.some((folder) => folder.kind === kind && folder.name === name)) continue;
    throw new DrError("CAPTURE_INCOMPLETE", `${kind} ${name} was not captured; nothing was committed`);
  }
  const recoveryPoint: RecoveryPoint = {
    format: 1,
    id: plan.recoveryPoint,
    type: plan.type,
    kinds: plan.kinds,
    ...(baseRecoveryPoint === undefined ? {} : { base: baseRecoveryPoint.id }),
    region: plan.region,
    epoch: plan.epoch,
    startedAt: plan.at,
    time: timeOf(plan, collections),
    finishedAt: clock.now().toISOString(),
    ...(plan.qdrantVersion === undefined ? {} : { qdrantVersion: plan.qdrantVersion }),
    toolVersion,
    collections,
    aliases,
    folders,
  };
  await refuseAfterRestore(request, plan.restore);
  if (hasQdrant) refuseEmptied(recoveryPoint, baseRecoveryPoint, carriedFrom(baseRecoveryPoint, plan), allowEmpty);
  await quarantineContradicted(request, plan, parts);
  await repository.createRecoveryPoint(recoveryPoint);
  return recoveryPoint;
}

/** What was not read again stands for the time at which it was read. */
export function timeOf(plan: Pick<CapturePlan, "at">, collections: readonly CapturedCollection[]): string {
  const starts = collections.flatMap(({ shards }) => shards).map(({ startedAt }) => startedAt);
  return [plan.at, ...starts].reduce((oldest, start) => (Date.parse(start) < Date.parse(oldest) ? start : oldest));
}

/** What the recovery point holds as its base does. */
export function carriedFrom(base: RecoveryPoint | undefined, plan: CapturePlan): CapturedCollection[] {
  const isPlanned = (name: string) => plan.collections.some((collection) => collection.name === name);
  const { carried } = plan;
  return (base?.collections ?? []).filter(({ name }) => carried?.includes(name) ?? !isPlanned(name));
}

async function assembleCollections(
  request: CaptureRequest,
  plan: CapturePlan,
  parts: readonly CapturePart[],
  baseRecoveryPoint: RecoveryPoint | undefined,
): Promise<CapturedCollection[]> {
  const present = await request.database.collections();
  const shardsOf = (name: string) => parts.flatMap((part) => part.shards).filter((shard) => shard.collection === name);
  const collections: CapturedCollection[] = [];
  await forEachConcurrently(collectionsAtOnce, plan.collections, async ({ shards: planned, ...facts }) => {
    if (!present.includes(facts.name) && (await isGone(request.database, facts.name))) return;
    const captured = shardsOf(facts.name).sort((a, b) => a.id - b.id);
    if (canonicalJson(captured.map(({ id, key }) => ({ id, key }))) !== canonicalJson(planned)) {
      throw new DrError("CAPTURE_INCOMPLETE", `${facts.name}: not every shard was captured; nothing was committed`, {
        hint: "capture again",
      });
    }
    const base = baseRecoveryPoint?.collections.find(({ name }) => name === facts.name);
    const isUnchanged =
      captured.length > 0 && captured.length === base?.shards.length && captured.every((shard) => shard.isUnchanged);
    const observed = isUnchanged ? base : await confirm(request, facts, planned);
    const shards = captured.map(
      ({ collection: _collection, contradictions: _contradictions, isUnchanged: _isUnchanged, ...shard }) => shard,
    );
    const { canaries, pointsAfter, pointsBefore, samples } = observed;
    collections.push({ ...facts, shards, pointsBefore, pointsAfter, samples, canaries });
  });
  for (const carried of carriedFrom(baseRecoveryPoint, plan)) {
    if (present.includes(carried.name) || !(await isGone(request.database, carried.name))) collections.push(carried);
  }
  return collections.sort((a, b) => (a.name < b.name ? -1 : 1));
}

async function confirm(
  request: CaptureRequest,
  { config, key, name, payloadIndexes, ...facts }: Omit<CapturePlan["collections"][number], "shards">,
  planned: CapturePlan["collections"][number]["shards"],
) {
  const { database, repository } = request;
  const [observed, now, replicas] = await Promise.all([
    repository.keys.key(key).then((opened) => confirmFacts(database, name, opened, facts)),
    database.describe(name),
    stillReplicas(request, name),
  ]);
  const shards = new Map(replicas.map((shard) => [shard.id, { id: shard.id, key: shard.key }]));
  const isSame =
    canonicalJson({ config: now.config, payloadIndexes: now.payloadIndexes }) ===
      canonicalJson({ config, payloadIndexes }) &&
    canonicalJson([...shards.values()].sort((a, b) => a.id - b.id)) === canonicalJson(planned);
  if (isSame) return observed;
  // A configuration that changed meanwhile belongs to other data than that which was read.
  throw new DrError("CAPTURE_INCOMPLETE", `${name} was changed while it was captured; nothing was committed`, {
    hint: "capture again",
  });
}

/**
 * A full capture that finds a file with its base's version and other bytes proves that versions did not tell the truth:
 * whatever was assembled by them since the last full capture is not to be trusted.
 */
async function quarantineContradicted(
  request: CaptureRequest,
  plan: CapturePlan,
  parts: readonly CapturePart[],
): Promise<void> {
  const contradicted = parts.flatMap((part) => part.shards).filter(({ contradictions }) => contradictions.length > 0);
  const [first] = contradicted;
  if (first === undefined) return;
  const { entries } = await readCatalog(request.repository);
  const recoveryPoints = entries.flatMap(({ recoveryPoint }) => (recoveryPoint === undefined ? [] : [recoveryPoint]));
  const isOfQdrant = ({ kinds }: RecoveryPoint) => kinds.includes("qdrant");
  const lastFull = recoveryPoints
    .filter((recoveryPoint) => isOfQdrant(recoveryPoint) && recoveryPoint.type === "full")
    .at(-1);
  const names = [...new Set(contradicted.map(({ collection }) => collection))].join(", ");
  const detail =
    `the full capture ${plan.recoveryPoint} found ${first.collection} shard ${first.id}: ${first.contradictions[0]} with the same ` +
    `version and other bytes; the history of ${names} is not what its versions say`;
  for (const recoveryPoint of recoveryPoints) {
    const isSince = lastFull === undefined || Date.parse(recoveryPoint.startedAt) > Date.parse(lastFull.startedAt);
    if (recoveryPoint.type !== "incremental" || !isOfQdrant(recoveryPoint) || !isSince) continue;
    await attest(request.repository, "quarantined", recoveryPoint, {
      at: request.clock.now(),
      region: plan.region,
      detail,
    });
    request.progress({ step: "quarantine", detail: recoveryPoint.id });
  }
}

/** Clients that an alias led elsewhere during the capture find there what was captured before it led there. */
function refuseNewlyLedToCarried(
  aliases: RecoveryPoint["aliases"],
  carried: readonly CapturedCollection[],
  base: RecoveryPoint | undefined,
): void {
  const isKnown = ({ alias, collection }: RecoveryPoint["aliases"][number]) =>
    base?.aliases.some((known) => known.alias === alias && known.collection === collection) ?? false;
  const moved = aliases.find((each) => !isKnown(each) && carried.some(({ name }) => name === each.collection));
  if (moved === undefined) return;
  throw new DrError(
    "CAPTURE_INCOMPLETE",
    `the alias ${moved.alias} was led to ${moved.collection} during the capture, which did not read it; nothing was committed`,
    { hint: "capture again" },
  );
}

/** A Qdrant that lost its disk answers like an empty one. What was not read says nothing of that. */
function refuseEmptied(
  recoveryPoint: RecoveryPoint,
  base: RecoveryPoint | undefined,
  carried: readonly CapturedCollection[],
  allowEmpty: boolean,
): void {
  const isRead = ({ name }: CapturedCollection) => !carried.some((collection) => collection.name === name);
  const count = ({ collections }: RecoveryPoint) =>
    collections.filter(isRead).reduce((sum, { pointsAfter }) => sum + pointsAfter, 0);
  if (allowEmpty || base === undefined || count(base) === 0 || count(recoveryPoint) > 0) return;
  throw new DrError(
    "LINEAGE_BROKEN",
    `${carried.length === 0 ? "Qdrant holds" : "the collections that were read hold"} no points, and the last recovery point holds ${count(base)} of them; nothing was committed`,
    {
      hint: "see whether it lost its disk; if it was emptied on purpose, repeat with --allow-empty",
    },
  );
}

/** A restore into this region while it was captured mixes two histories in one recovery point. */
async function refuseAfterRestore(request: CaptureRequest, restore: string | undefined): Promise<void> {
  if (newestRestore(await readRestores(controlOf(request))) === restore) return;
  throw new DrError("LINEAGE_BROKEN", "something was restored into this region during the capture", {
    hint: "capture again when the restore is done",
  });
}
