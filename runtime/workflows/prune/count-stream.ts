/** Marks what states of the stream need of the history: they may name its packs and trees. */
import type { ObjectMarks } from "../../domain/history/object-marks.ts";
import { keyBelowStream, parseStoreKey, storeLayout } from "../../domain/recovery-points/store-layout.ts";
import { type Pack, treePacksSchema } from "../../domain/recovery-points/stored-content.ts";
import { hasCode } from "../../errors.ts";
import { manifestFactsSchema } from "../../repository/prune/candidates.ts";
import { keysUnder } from "../../repository/record.ts";
import type { OpenRepository } from "../../repository/repository.ts";

/** @returns ids of the states that are listed. */
export async function countStream(
  repository: OpenRepository,
  marks: ObjectMarks,
  unreadable: Set<string>,
): Promise<ReadonlySet<string>> {
  const withStream = repository.withStream();
  const store = repository.history.stores.repository;
  const states = new Set<string>();
  const trees = new Map<string, readonly Pack[]>();
  /** A state is deleted at any time, and then needs nothing. */
  const read = async <T>(key: string, reading: Promise<T>): Promise<T | undefined> => {
    try {
      return await reading;
    } catch (error) {
      if (hasCode(error, "OBJECT_NOT_FOUND")) return undefined;
      if (!hasCode(error, "OBJECT_CORRUPT", "NOT_AUTHENTIC", "KEY_UNAVAILABLE")) throw error;
      unreadable.add(storeLayout.inStream(key));
      return undefined;
    }
  };
  for (const key of await keysUnder(store, storeLayout.inStream(storeLayout.recoveryPoints))) {
    const place = keyBelowStream(key) ?? key;
    const parsed = parseStoreKey(place);
    if (parsed?.kind !== "manifest") continue;
    states.add(parsed.recoveryPointId);
    const facts = await read(place, withStream.readRecord(place, manifestFactsSchema));
    const captures =
      facts === undefined ? [] : [...facts.collections.flatMap(({ shards }) => shards), ...facts.folders];
    for (const collection of facts?.collections ?? []) marks.need("facts", collection.facts, undefined);
    for (const { tree } of captures) {
      marks.need("tree", tree.id, tree.size);
      const packs =
        trees.get(tree.id) ??
        (await read(storeLayout.tree(tree.id), withStream.readTree(tree.id, treePacksSchema)))?.packs ??
        [];
      trees.set(tree.id, packs);
      for (const pack of packs) marks.need("pack", pack.id, pack.size);
    }
  }
  return states;
}
