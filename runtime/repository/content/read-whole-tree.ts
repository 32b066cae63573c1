import type { z } from "zod";
import type { Inventory } from "../../domain/recovery-points/catalog.ts";
import { storeLayout } from "../../domain/recovery-points/store-layout.ts";
import type { Pack } from "../../domain/recovery-points/stored-content.ts";
import type { OpenRepository } from "../repository.ts";
import { whenReadable } from "../when-readable.ts";

/** A tree to build on, unless it or any of its packs is missing: then nothing is built on it. */
export async function readWholeTree<Tree extends { readonly packs: readonly Pack[] }>(
  repository: OpenRepository,
  id: string,
  schema: z.ZodType<Tree>,
  inventory: Inventory,
): Promise<Tree | undefined> {
  const tree = await whenReadable(repository.readTree(id, schema));
  return tree?.packs.every((pack) => inventory.get(storeLayout.pack(pack.id)) === pack.size) ? tree : undefined;
}
