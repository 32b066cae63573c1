import type { z } from "zod";
import { storeLayout } from "../../domain/recovery-points/store-layout.ts";
import type { Pack } from "../../domain/recovery-points/stored-content.ts";
import type { ContentPresence } from "../catalog/content-presence.ts";
import type { OpenRepository } from "../repository.ts";
import { whenReadable } from "../when-readable.ts";

/** A tree to build on, unless it or any of its packs is missing: then nothing is built on it. */
export async function readWholeTree<Tree extends { readonly packs: readonly Pack[] }>(
  repository: OpenRepository,
  id: string,
  schema: z.ZodType<Tree>,
  presence: ContentPresence,
): Promise<Tree | undefined> {
  const tree = await whenReadable(repository.readTree(id, schema));
  if (tree === undefined) return undefined;
  const sizes = await presence.sizesOf(tree.packs.map(({ id }) => storeLayout.pack(id)));
  return tree.packs.every(({ id, size }) => sizes.get(storeLayout.pack(id)) === size) ? tree : undefined;
}
