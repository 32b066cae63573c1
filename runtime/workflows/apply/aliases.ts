/** The aliases of a target, before and after its collections are made. */
import type { RecoveryPoint } from "../../domain/recovery-points/recovery-point.ts";
import { DrError } from "../../errors.ts";
import type { Alias, VectorDatabase } from "../../ports/qdrant.ts";

export interface AliasPlan {
  readonly wanted: readonly Alias[];
  /**
   * "keep": no alias of the target is moved or deleted. "replace": the planned collections have exactly the wanted
   * aliases afterwards, wherever these led before.
   */
  readonly standing: "keep" | "replace";
}

/** An alias that is moved when all else is done. */
export interface AliasSwap {
  readonly alias: string;
  /** The collection it leads to before; absent when it does not exist. */
  readonly from?: string | undefined;
  readonly to: string;
}

/** The aliases of a recovery point that lead to collections of these names. */
export function aliasesAmong(recoveryPoint: RecoveryPoint, names: readonly string[]): Alias[] {
  return recoveryPoint.aliases.filter(({ collection }) => names.includes(collection));
}

/**
 * Throws TARGET_NOT_EMPTY when an alias of the target has the name of a collection that is to be made, or leads elsewhere than
 * it was captured.
 */
export function refuseTakenAliases(
  names: readonly string[],
  wanted: readonly Alias[],
  present: readonly Alias[],
): void {
  const taken = present.filter(
    ({ alias, collection }) =>
      names.includes(alias) || wanted.some((other) => other.alias === alias && other.collection !== collection),
  );
  if (taken.length === 0) return;
  const told = taken.map(({ alias, collection }) => `${alias} (leads to ${collection})`).join(", ");
  throw new DrError("TARGET_NOT_EMPTY", `the target has the alias ${told}; nothing was changed`, {
    hint: "delete the alias, or restore without its collection",
  });
}

/** Deletes aliases that have the name of a collection that is to be made. */
export async function freeNames(
  target: VectorDatabase,
  { standing }: AliasPlan,
  names: readonly string[],
): Promise<void> {
  if (standing === "keep") return;
  for (const { alias } of await target.aliases()) if (names.includes(alias)) await target.deleteAlias(alias);
}

/** @param names the planned collections. */
export async function setAliases(
  target: VectorDatabase,
  { standing, wanted }: AliasPlan,
  names: readonly string[],
): Promise<void> {
  const present = await target.aliases();
  for (const alias of wanted) {
    const leadsTo = present.find((each) => each.alias === alias.alias)?.collection;
    if (leadsTo === undefined || (standing === "replace" && leadsTo !== alias.collection)) {
      await target.createAlias(alias);
    }
  }
  if (standing === "keep") return;
  for (const { alias, collection } of present) {
    const isWanted = wanted.some((each) => each.alias === alias);
    if (!isWanted && names.includes(collection)) await target.deleteAlias(alias);
  }
}
