/** What captures that were cut off have stored: pieces of packs that no recovery point needs. */
import { capturesOf } from "../../domain/recovery-points/recovery-point.ts";
import { parseStoreKey } from "../../domain/recovery-points/store-layout.ts";
import {
  type Pack,
  type Piece,
  type StoredChunk,
  treePacksSchema,
} from "../../domain/recovery-points/stored-content.ts";
import type { OrphanedPieces } from "../content/content-writer.ts";
import { readDirectory } from "../content/pack-directory.ts";
import { openPlan } from "../prune/prune-sight.ts";
import type { OpenRepository } from "../repository.ts";
import { whenReadable } from "../when-readable.ts";
import type { CaptureBase } from "./read-catalog.ts";

/** Some 40 MB in memory; what lies beyond is stored again. */
const mostPieces = 150_000;

/** Reads every recovery point and its trees, and the directory of every other pack: to be asked only after a capture was cut off. */
export async function findOrphanedPieces(repository: OpenRepository, base: CaptureBase): Promise<OrphanedPieces> {
  const claimed = await claimedPacks(repository, base);
  const packs: Pack[] = [];
  const chunks = new Map<string, StoredChunk>();
  const lists = new Map<string, Piece>();
  for (const [key, size] of base.inventory) {
    const parsed = parseStoreKey(key);
    if (parsed?.kind !== "pack" || claimed.has(parsed.id) || chunks.size >= mostPieces) continue;
    const { id } = parsed;
    packs.push({ id, size });
    const content = await readDirectory(repository, { id });
    for (const chunk of content.chunks) chunks.set(chunk.name, chunk);
    for (const list of content.lists) lists.set(list.name, list);
  }
  return { packs, findChunk: (name) => chunks.get(name), findList: (name) => lists.get(name) };
}

/**
 * The packs of every recovery point, and those that an open plan of a prune drops: nothing is built on them. What only the tree of a capture that was cut off names is as unclaimed as the tree, and so is
 * what a damaged object named: it is looked at, and opens or does not.
 */
async function claimedPacks(repository: OpenRepository, base: CaptureBase): Promise<Set<string>> {
  const trees = new Set<string>();
  for (const id of base.listed) {
    const recoveryPoint = await whenReadable(repository.readRecoveryPoint(id));
    for (const { tree } of recoveryPoint === undefined ? [] : capturesOf(recoveryPoint)) trees.add(tree.id);
  }
  const claimed = new Set<string>();
  for (const id of trees) {
    const tree = await whenReadable(repository.readTree(id, treePacksSchema));
    for (const pack of tree?.packs ?? []) claimed.add(pack.id);
  }
  const plan = await openPlan(repository.stores.control, base.prunes);
  for await (const objects of plan?.objects() ?? []) {
    for (const { key } of objects) {
      const parsed = parseStoreKey(key);
      if (parsed?.kind === "pack") claimed.add(parsed.id);
    }
  }
  return claimed;
}
