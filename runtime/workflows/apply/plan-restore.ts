/** Plans a restore into a Qdrant that does not hold the wanted collections, or holds what an earlier restore left half-made. */
import { problemOfName } from "../../domain/qdrant/collection-name.ts";
import type { RecoveryPoint } from "../../domain/recovery-points/recovery-point.ts";
import { DrError } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Progress } from "../../ports/progress.ts";
import type { Alias, VectorDatabase } from "../../ports/qdrant.ts";
import { withFacts } from "../../repository/content/collection-facts.ts";
import { type RestoreRecord, readRestores, unfinishedCollections } from "../../repository/control/restore-records.ts";
import type { OpenRepository } from "../../repository/repository.ts";
import { unreadableReporter } from "../name-unreadable.ts";
import { type AliasSwap, aliasesAmong, refuseTakenAliases } from "./aliases.ts";
import {
  type ApplyPlan,
  type ImpossibleCollection,
  type KnownTarget,
  type NamedTarget,
  planApply,
  qdrantVersionOf,
  type WantedCollection,
  withoutShardKeys,
} from "./plan-apply.ts";

export interface RestoreRequest {
  readonly repository: OpenRepository;
  readonly recoveryPoint: RecoveryPoint;
  readonly target: VectorDatabase;
  /** What the restore records call the target; left out for the region's own Qdrant. */
  readonly targetName?: string | undefined;
  /** Names of the collections wanted; all of the recovery point's when left out. */
  readonly only?: readonly string[] | undefined;
  /** Another name for the one collection that is wanted: it is made beside the live one. */
  readonly as?: string | undefined;
  /** Made to lead to the restored collection when that is compared; for `as`. */
  readonly swapAlias?: string | undefined;
  /** Throw away what any earlier restore left half-made, as its records say; whoever asks knows that it is not in use. */
  readonly discardUnfinished?: boolean | undefined;
  readonly clock: Clock;
  readonly progress: Progress;
}

/** What a restore would do. Throws when it must not be done: nothing has been touched then. */
export async function planRestore(request: RestoreRequest): Promise<ApplyPlan> {
  const { as, clock, discardUnfinished = false, recoveryPoint, progress, repository, target, targetName } = request;
  qdrantVersionOf(recoveryPoint);
  const wanted = await wantedCollections(request);
  const impossible = await impossibleAmong(target, wanted);
  const collections = possibleAmong(request, wanted, impossible);
  const names = collections.map(({ name }) => name);
  const named = targetName === undefined ? undefined : { name: targetName, processes: await target.processes() };
  const halfMade = unfinishedCollections(
    await readRestores(repository.stores.control, targetName, unreadableReporter(progress)),
  );
  const aliases = as === undefined ? aliasesAmong(recoveryPoint, names) : [];
  const plan = await planApply({
    recoveryPoint,
    target,
    named,
    collections,
    existing: "refuse",
    aliases: { wanted: aliases, standing: "keep" },
    known: knownByRestores(halfMade, { discardUnfinished, named, wanted: names }),
    compare: "all",
    optimizes: true,
    onFailure: "remove",
    clock,
  });
  const present = await target.aliases();
  const swap = await planSwap(request, present);
  refuseTakenAliases(names, aliases, present);
  return { ...plan, impossible, swap };
}

interface DiscardRules {
  readonly discardUnfinished: boolean;
  readonly named: NamedTarget | undefined;
  readonly wanted: readonly string[];
}

/** What the records of restores say: which of the wanted collections an earlier one left half-made. */
function knownByRestores(
  halfMade: ReadonlyMap<string, RestoreRecord>,
  { discardUnfinished, named, wanted }: DiscardRules,
): KnownTarget {
  const mayBeDiscarded = (name: string): boolean => {
    const record = halfMade.get(name);
    if (record === undefined || !discardUnfinished) return false;
    // An address tells nothing of who answers there now: only the region's own Qdrant is known without a look.
    return named === undefined || named.processes.some((process) => record.processes?.includes(process));
  };
  return {
    unfinishedAmong: async (present) => wanted.filter((name) => present.has(name) && mayBeDiscarded(name)),
    refusalOf: (taken) => {
      const halfMadeHint = discardUnfinished
        ? "an earlier restore was cut off, and not in the process that answers there now: it may be another server. If nobody uses the collection, delete it yourself"
        : "an earlier restore was cut off: if nobody uses what it left, repeat with --discard-unfinished";
      return new DrError("TARGET_NOT_EMPTY", `the target has ${taken.join(", ")} already; nothing was changed`, {
        hint: taken.some((name) => halfMade.has(name))
          ? halfMadeHint
          : "a restore never replaces what may be the only copy: restore beside it (--as), into an empty Qdrant, or delete the collection yourself",
      });
    },
  };
}

/** What Qdrant would refuse, when others have been made. */
async function impossibleAmong(
  target: VectorDatabase,
  wanted: readonly WantedCollection[],
): Promise<readonly ImpossibleCollection[]> {
  const names = wanted.flatMap(({ name }) => {
    const because = problemOfName(name);
    if (because === undefined) return [];
    const problem = new DrError("USAGE", `no collection can be called ${JSON.stringify(name)}: ${because}`, {
      hint: "restore it by itself under another name, with --as: letters, digits, - and _ are always allowed",
    });
    return [{ name, problem }];
  });
  const named = new Set(names.map(({ name }) => name));
  return [...names, ...(await withoutShardKeys(target, wanted)).filter(({ name }) => !named.has(name))];
}

/** All the others, of a restore of everything. Throws for what was asked for by its name, and when nothing is left. */
function possibleAmong(
  { as, only }: RestoreRequest,
  wanted: readonly WantedCollection[],
  impossible: readonly ImpossibleCollection[],
): readonly WantedCollection[] {
  const possible = wanted.filter(({ name }) => impossible.every((each) => each.name !== name));
  const [first] = impossible;
  if (first === undefined || (as === undefined && only === undefined && possible.length > 0)) return possible;
  const { code, hint, message } = first.problem;
  throw new DrError(code, `${message}; nothing was changed`, { hint });
}

async function wantedCollections({
  as,
  only,
  recoveryPoint,
  repository,
  swapAlias,
}: RestoreRequest): Promise<WantedCollection[]> {
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
  return (await withFacts(repository, wanted)).map((captured) => ({ captured, name: as ?? captured.name }));
}

async function planSwap(
  { as, swapAlias, target }: RestoreRequest,
  aliases: readonly Alias[],
): Promise<AliasSwap | undefined> {
  if (swapAlias === undefined || as === undefined) return undefined;
  if (swapAlias === as || (await target.collections()).includes(swapAlias)) {
    throw new DrError("USAGE", `${swapAlias} is the name of a collection: no alias can have it`, {
      hint: "let clients use an alias, or delete the collection yourself and restore it under its own name",
    });
  }
  return { alias: swapAlias, from: aliases.find(({ alias }) => alias === swapAlias)?.collection, to: as };
}
