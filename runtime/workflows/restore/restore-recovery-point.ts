/**
 * Restores a recovery point into a Qdrant that does not hold its collections: newest configuration and payload indexes
 * first, then every shard to its owner, then waits until all is whole, compares, and sets the aliases last.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { forEachConcurrently } from "../../async/for-each-concurrently.ts";
import { newId } from "../../domain/identifier.ts";
import { problemOfName } from "../../domain/qdrant/collection-name.ts";
import { planShardKeys } from "../../domain/qdrant/shard-key-plan.ts";
import type { CapturedCollection, RecoveryPoint } from "../../domain/recovery-points/recovery-point.ts";
import { checkRestorable } from "../../domain/recovery-points/version-rule.ts";
import { DrError } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Progress } from "../../ports/progress.ts";
import type { Alias, VectorDatabase } from "../../ports/qdrant.ts";
import {
  readRestores,
  recordRestoreEnd,
  recordRestoreStart,
  unfinishedCollections,
} from "../../repository/control/restore-records.ts";
import type { OpenRepository } from "../../repository/repository.ts";
import { nameUnreadable } from "../name-unreadable.ts";
import { compareWithObservation } from "../observe-collection.ts";
import { hasShardKeys, restoreCollection, waitUntilWhole } from "./restore-collection.ts";

/** Each holds a few megabytes here, and the unpacked shard twice on the target's disk. */
const collectionsAtOnce = 3;

export interface RestoreReport {
  readonly recoveryPoint: string;
  readonly time: string;
  readonly collections: number;
  readonly points: number;
  /** What was compared with the source's own answers. */
  readonly samples: number;
  readonly canaries: number;
  /** The alias that was moved, and where it led before. */
  readonly swapped?: AliasSwap;
  readonly seconds: number;
}

export interface RestoreRequest {
  readonly repository: OpenRepository;
  readonly recoveryPoint: RecoveryPoint;
  readonly target: VectorDatabase;
  /** What the restore records call the target; left out for the region's own Qdrant. */
  readonly targetName?: string;
  /** Names of the collections wanted; all of the recovery point's when left out. */
  readonly only?: readonly string[];
  /** Another name for the one collection that is wanted: it is made beside the live one. */
  readonly as?: string;
  /** Made to lead to the restored collection when that is compared; for `as`. */
  readonly swapAlias?: string;
  /** Throw away what any earlier restore left half-made, as its records say; whoever asks knows that it is not in use. */
  readonly discardUnfinished?: boolean;
  readonly clock: Clock;
  readonly progress: Progress;
}

export interface WantedCollection {
  readonly captured: CapturedCollection;
  /** Its name on the target. */
  readonly name: string;
}

export interface AliasSwap {
  readonly alias: string;
  /** The collection it leads to before; absent when it does not exist. */
  readonly from?: string;
  readonly to: string;
}

/** All that a restore does: whoever carries it out knows nothing else. */
export interface RestorePlan {
  readonly recoveryPoint: RecoveryPoint;
  /** What the restore records call the target; absent for the region's own Qdrant. */
  readonly targetName?: string;
  readonly collections: readonly WantedCollection[];
  /** Half-made by an earlier restore that did not end: thrown away first. */
  readonly discard: readonly string[];
  /** Set when all else is done and compared. */
  readonly aliases: readonly Alias[];
  readonly swap?: AliasSwap;
}

/** What a restore would do. Throws when it must not be done: nothing has been touched then. */
export async function planRestore(request: RestoreRequest): Promise<RestorePlan> {
  const { as, discardUnfinished = false, recoveryPoint, progress, repository, target, targetName } = request;
  if (recoveryPoint.qdrantVersion === undefined) {
    throw new DrError(
      "RECOVERY_POINT_NOT_FOUND",
      `${recoveryPoint.id} holds ${recoveryPoint.kinds.join(", ")}, and nothing of Qdrant`,
      {
        hint: "`qdrant-dr recovery-points list` shows what each recovery point holds",
      },
    );
  }
  checkRestorable(recoveryPoint.qdrantVersion, await target.version());
  const collections = wantedCollections(request);
  const existing = new Set(await target.collections());
  const taken = collections.map(({ name }) => name).filter((name) => existing.has(name));
  const restores = await readRestores(repository.stores.control, targetName, nameUnreadable(progress));
  const halfMade = unfinishedCollections(restores);
  // An address tells nothing of who answers there now: only the region's own Qdrant is known without a look.
  const present = targetName === undefined || !discardUnfinished ? undefined : await target.processes();
  const live = taken.filter((name) => {
    const record = halfMade.get(name);
    if (record === undefined || !discardUnfinished) return true;
    return present !== undefined && !present.some((process) => record.processes?.includes(process));
  });
  if (live.length > 0) {
    const halfMadeHint = discardUnfinished
      ? "an earlier restore was cut off, and not in the process that answers there now: it may be another server. If nobody uses the collection, delete it yourself"
      : "an earlier restore was cut off: if nobody uses what it left, repeat with --discard-unfinished";
    throw new DrError("TARGET_NOT_EMPTY", `the target has ${live.join(", ")} already; nothing was changed`, {
      hint: live.some((name) => halfMade.has(name))
        ? halfMadeHint
        : "a restore never replaces what may be the only copy: restore beside it (--as), into an empty Qdrant, or delete the collection yourself",
    });
  }
  await refuseLostShardKeys(target, collections);
  const aliasesNow = await target.aliases();
  const swap = planSwap(request, existing, aliasesNow);
  const aliases = as === undefined ? aliasesOf(recoveryPoint, collections) : [];
  refuseTakenNames(collections, aliases, aliasesNow);
  return {
    recoveryPoint,
    ...(targetName === undefined ? {} : { targetName }),
    collections,
    discard: taken,
    aliases,
    ...(swap === undefined ? {} : { swap }),
  };
}

/** What a plan is carried out with. */
type RestoreTools = Pick<RestoreRequest, "clock" | "progress" | "repository" | "target">;

/** Does what `planRestore` planned for this target. */
export async function executeRestore(tools: RestoreTools, plan: RestorePlan): Promise<RestoreReport> {
  const { clock, progress, repository, target } = tools;
  const { aliases, collections, discard, recoveryPoint, swap, targetName } = plan;
  const begun = clock.now();
  const record = {
    id: newId(begun),
    recoveryPoint: recoveryPoint.id,
    collections: collections.map(({ name }) => name),
    ...(targetName === undefined ? {} : { target: targetName, processes: await target.processes() }),
    at: begun.toISOString(),
  };
  await recordRestoreStart(repository.stores.control, record);
  for (const name of discard) await target.deleteCollection(name);
  await forEachConcurrently(collectionsAtOnce, collections, async ({ captured, name }) => {
    progress({ step: "restore", detail: name });
    await restoreCollection(tools, captured, name);
  });
  for (const { name } of collections) await waitUntilWhole(tools, name);
  // Compared before a name leads to it: from its aliases on, it can be in use.
  const proof = await verifyRestored(tools, plan);
  const present = new Set((await target.aliases()).map(({ alias }) => alias));
  for (const alias of aliases) if (!present.has(alias.alias)) await target.createAlias(alias);
  await recordRestoreEnd(repository.stores.control, record, clock.now());
  // From here on the collection is in use: it must not count as half-made then, whatever is killed.
  if (swap !== undefined) await target.createAlias({ alias: swap.alias, collection: swap.to });
  const counts = await Promise.all(collections.map(({ name }) => target.count(name)));
  return {
    recoveryPoint: recoveryPoint.id,
    time: recoveryPoint.time,
    collections: collections.length,
    points: counts.reduce((sum, count) => sum + count, 0),
    ...proof,
    ...(swap === undefined ? {} : { swapped: swap }),
    seconds: (clock.now().getTime() - begun.getTime()) / 1000,
  };
}

/** A replica that has just been brought up to date may leave again for a moment: what differs in a cluster is asked again. */
const settledWithin = { looks: 20, everyMs: 250 };

/** Compares a restored target with what the source answered at the capture. Throws VERIFICATION_FAILED. */
export async function verifyRestored(
  tools: Pick<RestoreTools, "repository" | "target">,
  restored: Pick<RestorePlan, "collections" | "recoveryPoint">,
): Promise<{ samples: number; canaries: number }> {
  for (let look = 1; ; look += 1) {
    const { differences, ...compared } = await compareRestored(tools, restored.collections);
    if (differences.length === 0) return compared;
    if (look < settledWithin.looks && (await tools.target.isClustered())) {
      await sleep(settledWithin.everyMs);
      continue;
    }
    const shown = differences.slice(0, 3).join("; ");
    throw new DrError(
      "VERIFICATION_FAILED",
      `${differences.length} things differ from ${restored.recoveryPoint.id}: ${shown}`,
      {
        hint: "do not serve from it: restore an earlier point (`qdrant-dr recovery-points list`, then `restore --recovery-point`)",
      },
    );
  }
}

async function compareRestored(
  { repository, target }: Pick<RestoreTools, "repository" | "target">,
  collections: readonly WantedCollection[],
) {
  const differences: string[] = [];
  let samples = 0;
  let canaries = 0;
  for (const { captured, name } of collections) {
    const key = await repository.keys.key(captured.key);
    differences.push(...(await compareWithObservation(target, { ...captured, name }, key)));
    samples += captured.samples.length;
    canaries += captured.canaries.length;
  }
  return { differences, samples, canaries };
}

/** All of a recovery point, under the names that it was captured by. */
export function wholeRecoveryPoint(recoveryPoint: RecoveryPoint): Pick<RestorePlan, "collections" | "recoveryPoint"> {
  return {
    recoveryPoint,
    collections: recoveryPoint.collections.map((captured) => ({ captured, name: captured.name })),
  };
}

function wantedCollections({ as, only, recoveryPoint, swapAlias }: RestoreRequest): WantedCollection[] {
  if (swapAlias !== undefined && as === undefined) {
    throw new DrError("USAGE", "an alias is swapped to a collection that is restored under another name", {
      hint: "name it with --as; without, the aliases of the recovery point are set",
    });
  }
  const unknown = (only ?? []).filter(
    (name) => !recoveryPoint.collections.some((collection) => collection.name === name),
  );
  if (unknown.length > 0) {
    const known = recoveryPoint.collections.map(({ name }) => name).join(", ");
    throw new DrError("USAGE", `${unknown.join(", ")} is not in ${recoveryPoint.id}`, { hint: `it holds ${known}` });
  }
  const wanted = recoveryPoint.collections.filter(({ name }) => only === undefined || only.includes(name));
  if (as !== undefined && wanted.length !== 1) {
    throw new DrError("USAGE", `--as names one collection, and ${wanted.length} would be restored`, {
      hint: "choose it with --collections",
    });
  }
  const problem = as === undefined ? undefined : problemOfName(as);
  if (problem !== undefined) {
    throw new DrError("USAGE", `no collection can be called ${JSON.stringify(as)}: ${problem}; nothing was changed`, {
      hint: "give another name with --as: letters, digits, - and _ are always allowed",
    });
  }
  return wanted.map((captured) => ({ captured, name: as ?? captured.name }));
}

function aliasesOf(recoveryPoint: RecoveryPoint, collections: readonly WantedCollection[]): Alias[] {
  return recoveryPoint.aliases.filter(({ collection }) => collections.some(({ name }) => name === collection));
}

function planSwap(
  { as, swapAlias }: RestoreRequest,
  existing: ReadonlySet<string>,
  aliases: readonly Alias[],
): AliasSwap | undefined {
  if (swapAlias === undefined || as === undefined) return undefined;
  if (existing.has(swapAlias) || swapAlias === as) {
    throw new DrError("USAGE", `${swapAlias} is the name of a collection: no alias can have it`, {
      hint: "let clients use an alias, or delete the collection yourself and restore it under its own name",
    });
  }
  const from = aliases.find(({ alias }) => alias === swapAlias)?.collection;
  return { alias: swapAlias, ...(from === undefined ? {} : { from }), to: as };
}

/** An alias of the target that has the name of what is restored, or that leads elsewhere than it was captured. */
function refuseTakenNames(
  collections: readonly WantedCollection[],
  wanted: readonly Alias[],
  present: readonly Alias[],
): void {
  const taken = present.filter(
    ({ alias, collection }) =>
      collections.some(({ name }) => name === alias) ||
      wanted.some((other) => other.alias === alias && other.collection !== collection),
  );
  if (taken.length === 0) return;
  const told = taken.map(({ alias, collection }) => `${alias} (leads to ${collection})`).join(", ");
  throw new DrError("TARGET_NOT_EMPTY", `the target has the alias ${told}; nothing was changed`, {
    hint: "delete the alias, or restore without its collection",
  });
}

/** Shard keys that cannot be made again on the target as they were. */
export async function refuseLostShardKeys(
  target: VectorDatabase,
  collections: readonly WantedCollection[],
): Promise<void> {
  const withKeys = collections.filter(({ captured }) => hasShardKeys(captured));
  for (const { captured, name } of withKeys) planShardKeys(name, captured.shards);
  if (withKeys.length === 0 || (await target.isClustered())) return;
  const names = withKeys.map(({ name }) => name).join(", ");
  throw new DrError("NOT_SUPPORTED", `${names} has custom shard keys, and the target does not run in cluster mode`, {
    hint: "start the target's Qdrant with QDRANT__CLUSTER__ENABLED=true and --uri: one node is enough",
  });
}
