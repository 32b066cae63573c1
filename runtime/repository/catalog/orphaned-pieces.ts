/** What captures that were cut off have stored: pieces of packs that were stored since the first of them began. */
import type { PruneSight } from "../../domain/recovery-points/capture-plan.ts";
import { parseContentKey, parseStoreKey, storeLayout } from "../../domain/recovery-points/store-layout.ts";
import type { Pack, Piece, StoredChunk } from "../../domain/recovery-points/stored-content.ts";
import type { OrphanedPieces } from "../content/content-writer.ts";
import { readDirectory } from "../content/pack-directory.ts";
import { openPlan } from "../prune/prune-sight.ts";
import type { OpenRepository } from "../repository.ts";
import type { UnfinishedCapture } from "./capture-session.ts";

/** Some 40 MB in memory; what lies beyond is stored again. */
const mostPieces = 150_000;
/** Two terabytes, in 250 requests; what lies beyond is stored again. */
const mostListed = 250_000;

/**
 * Reads the directories of these packs: to be asked only after a capture was cut off. What a recovery point needs may be among them,
 * and is as good. Where the store does not tell when a pack was stored, nothing is found.
 */
export async function findOrphanedPieces(
  repository: OpenRepository,
  cutOff: readonly UnfinishedCapture[],
  prunes: PruneSight,
): Promise<OrphanedPieces> {
  const begun = cutOff.flatMap(({ storedAt }) => storedAt?.getTime() ?? []);
  const since = Math.min(...begun);
  const dropped = await droppedPacks(repository, prunes);
  const packs: Pack[] = [];
  const chunks = new Map<string, StoredChunk>();
  const lists = new Map<string, Piece>();
  let listed = 0;
  for await (const { key, size, storedAt } of repository.stores.repository.list(storeLayout.packs)) {
    listed += 1;
    if (listed > mostListed || chunks.size >= mostPieces) break;
    const parsed = parseContentKey(key);
    if (parsed === undefined || storedAt === undefined || storedAt.getTime() < since || dropped.has(parsed.id))
      continue;
    const pack = { id: parsed.id, size };
    packs.push(pack);
    const content = await readDirectory(repository, pack);
    for (const chunk of content.chunks) chunks.set(chunk.name, chunk);
    for (const list of content.lists) lists.set(list.name, list);
  }
  return { packs, findChunk: (name) => chunks.get(name), findList: (name) => lists.get(name) };
}

/** Those that an open plan of a prune drops: nothing is built on them. */
async function droppedPacks({ stores }: OpenRepository, prunes: PruneSight): Promise<Set<string>> {
  const dropped = new Set<string>();
  const plan = await openPlan(stores.control, prunes);
  for await (const objects of plan?.objects() ?? []) {
    for (const { key } of objects) {
      const parsed = parseStoreKey(key);
      if (parsed?.kind === "pack") dropped.add(parsed.id);
    }
  }
  return dropped;
}
