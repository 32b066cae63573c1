/** What captures that were cut off have stored: pieces of packs that no tree names. */
import type { Inventory } from "../domain/catalog.ts";
import { storeLayout } from "../domain/store-layout.ts";
import { type Pack, type Piece, treePacksSchema } from "../domain/stored-content.ts";
import { hasCode } from "../errors.ts";
import type { UnclaimedPieces } from "./content-writer.ts";
import { readDirectory } from "./pack-directory.ts";
import type { OpenRepository } from "./repository.ts";

/** Some 40 MB in memory; what lies beyond is stored again. */
const mostPieces = 150_000;

/** Reads every tree, and the directory of every pack that none of them names: to be asked only after a capture was cut off. */
export async function findUnclaimedPieces(repository: OpenRepository, inventory: Inventory): Promise<UnclaimedPieces> {
  const claimed = await claimedPacks(repository, inventory);
  const packs: Pack[] = [];
  const pieces = new Map<string, Piece>();
  for (const [key, size] of inventory) {
    const id = key.startsWith(storeLayout.packs) ? (key.split("/").at(-1) ?? "") : "";
    if (id === "" || claimed.has(id) || pieces.size >= mostPieces) continue;
    packs.push({ id, size });
    for (const piece of await readDirectory(repository, { id, size })) pieces.set(piece.name, piece);
  }
  return { packs, find: (name) => pieces.get(name) };
}

async function claimedPacks(repository: OpenRepository, inventory: Inventory): Promise<Set<string>> {
  const claimed = new Set<string>();
  for (const key of inventory.keys()) {
    const id = key.startsWith(storeLayout.trees) ? (key.split("/").at(-1) ?? "") : "";
    if (id === "") continue;
    try {
      for (const pack of (await repository.readTree(id, treePacksSchema)).packs) claimed.add(pack.id);
    } catch (error) {
      // What a damaged tree named counts as unclaimed: it is looked at, not trusted.
      if (!hasCode(error, "OBJECT_CORRUPT", "OBJECT_NOT_FOUND", "KEY_UNAVAILABLE")) throw error;
    }
  }
  return claimed;
}
