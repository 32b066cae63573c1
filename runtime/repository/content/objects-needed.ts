import type { z } from "zod";
import { objectsOf, type TreePacks } from "../../domain/recovery-points/catalog.ts";
import { capturesOf, type RecoveryPoint } from "../../domain/recovery-points/recovery-point.ts";
import { type Pack, treePacksSchema } from "../../domain/recovery-points/stored-content.ts";

/** A repository, as far as its trees are read. */
export interface TreeReader {
  readTree<Tree>(id: string, schema: z.ZodType<Tree>): Promise<Tree>;
}

/** The packs of each tree of a recovery point, read from its repository. */
export async function packsOf(repository: TreeReader, recoveryPoint: RecoveryPoint): Promise<TreePacks> {
  const packs = new Map<string, readonly Pack[]>();
  for (const { tree } of capturesOf(recoveryPoint)) {
    if (!packs.has(tree.id)) packs.set(tree.id, (await repository.readTree(tree.id, treePacksSchema)).packs);
  }
  return packs;
}

/** Keys of the trees and packs that a recovery point needs. Throws when one of its trees cannot be read. */
export async function objectsNeeded(repository: TreeReader, recoveryPoint: RecoveryPoint): Promise<Set<string>> {
  return new Set(objectsOf(recoveryPoint, await packsOf(repository, recoveryPoint)).keys());
}
