/**
 * Rotates the keys of a repository, and rewrites no data: each data key is wrapped again for those who are to hold it from now on, and
 * captures make new ones. What is stored already stays readable.
 */
import { forEachConcurrently } from "../../async/for-each-concurrently.ts";
import type { DataKey } from "../../domain/recovery-points/key.ts";
import type { KeyGeneration } from "../../domain/recovery-points/key-generation.ts";
import { controlLayout, parseControlKey } from "../../domain/recovery-points/store-layout.ts";
import { DrError, toDrError } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import { beginKeyGeneration, newestKeyGeneration } from "../../repository/control/key-generations.ts";
import { keysUnder } from "../../repository/record.ts";
import type { OpenRepository } from "../../repository/repository.ts";

export interface KeyRotationPlan {
  /** Data keys that the holders of today open already. */
  readonly held: readonly string[];
  /** Those that are to be wrapped again. */
  readonly toWrap: readonly string[];
  /** Those that nobody signed, are damaged, or do not open with what is known here. */
  readonly unopened: readonly { readonly key: string; readonly because: string }[];
  /** How many generations of data keys were begun. */
  readonly generation: number;
  /** Present when another one is to begin. */
  readonly begins?: { readonly retired: readonly string[] };
}

const atOnce = 8;

/** @param options newDataKeys: another generation begins, unless the newest has not been used yet. */
export async function planKeyRotation(
  repository: OpenRepository,
  { newDataKeys }: { readonly newDataKeys: boolean },
): Promise<KeyRotationPlan> {
  const { control } = repository.stores;
  const newest = await newestKeyGeneration(control);
  const opened = new Map<string, DataKey>();
  const unopened = new Map<string, DrError>();
  const toWrap: string[] = [];
  await forEachConcurrently(atOnce, await keysIn(repository, newest?.record), async (id) => {
    try {
      const key = await repository.keys.key(id);
      opened.set(id, key);
      if (!(await repository.keys.isWrappedForHolders(key))) toWrap.push(id);
    } catch (thrown) {
      const error = toDrError(thrown);
      if (!unreadable.has(error.code)) throw error;
      unopened.set(id, error);
    }
  });
  const isUsed = newest?.record === undefined || [...opened.values()].some(({ under }) => under === newest.record?.key);
  const wrapped = new Set(toWrap);
  return {
    held: [...opened.keys()].filter((id) => !wrapped.has(id)).sort(),
    toWrap: toWrap.sort(),
    unopened: [...unopened].map(([key, { message }]) => ({ key, because: message })),
    generation: newest?.number ?? 0,
    ...(newDataKeys && isUsed ? { begins: { retired: repositoriesOf(repository, opened.values()) } } : {}),
  };
}

const unreadable: ReadonlySet<string> = new Set(["KEY_UNAVAILABLE", "NOT_AUTHENTIC", "OBJECT_CORRUPT"]);

/** Those that stand in the control store, and those that are named elsewhere: a listing may come back short. */
async function keysIn({ description, stores }: OpenRepository, generation: KeyGeneration | undefined) {
  const ids = new Set([description.key, ...(generation === undefined ? [] : [generation.key])]);
  for (const key of await keysUnder(stores.control, controlLayout.keys)) {
    const parsed = parseControlKey(key);
    if (parsed?.kind === "key") ids.add(parsed.id);
  }
  return ids;
}

/** The keys of all repositories whose content may be here: copies bring data keys that were made under another one's. */
function repositoriesOf({ description }: OpenRepository, keys: Iterable<DataKey>): readonly string[] {
  const retired = new Set([description.key]);
  for (const { id, purpose, under } of keys) {
    if (purpose === "repository") retired.add(id);
    else if (under !== undefined) retired.add(under);
  }
  return [...retired].sort();
}

/**
 * Can be killed anywhere and run again: a key is wrapped once for the same holders, and a generation that nothing has used yet is not
 * followed by another one.
 * @returns the number of the newest generation.
 */
export async function rotateKeys(repository: OpenRepository, plan: KeyRotationPlan, clock: Clock): Promise<number> {
  await forEachConcurrently(atOnce, plan.toWrap, async (id) => {
    await repository.keys.wrapAgain(id);
  });
  if (plan.begins === undefined) return plan.generation;
  const { control } = repository.stores;
  const key = await repository.keys.make("repository");
  const generation = { at: clock.now().toISOString(), key: key.id, ...plan.begins, retired: [...plan.begins.retired] };
  const number = await beginKeyGeneration(control, plan.generation, generation);
  if (number !== undefined) return number;
  throw new DrError("EPOCH_CONFLICT", "somebody else began new data keys at the same moment", {
    hint: "`qdrant-dr keys rotate --plan` shows them",
  });
}
