/** Reads one inventory of a region's bucket and judges every recovery point in it. */
import { type CatalogEntry, type Inventory, judgePoint } from "../domain/catalog.ts";
import type { EpochRecord } from "../domain/epoch.ts";
import { type Attestation, attestationSchema, type RecoveryPoint } from "../domain/recovery-point.ts";
import type { ShardTree } from "../domain/shard-tree.ts";
import { parsePointKey, storeLayout } from "../domain/store-layout.ts";
import { hasCode, toDrError } from "../errors.ts";
import { readEpochs } from "./epochs.ts";
import { parseRecord } from "./parse-record.ts";
import type { OpenRepository } from "./repository.ts";

export interface Catalog {
  readonly entries: readonly CatalogEntry[];
  readonly inventory: Inventory;
  readonly epochs: readonly EpochRecord[];
}

export async function readCatalog(repository: OpenRepository): Promise<Catalog> {
  const { stores } = repository;
  // Manifests before packs and trees: what is written after the first listing can only be more.
  const pointKeys = await inventoryOf(repository, storeLayout.points);
  const inventory = new Map([
    ...(await inventoryOf(repository, storeLayout.packs)),
    ...(await inventoryOf(repository, storeLayout.trees)),
  ]);
  const epochs = await readEpochs(stores.control);
  const trees = new Map<string, ShardTree>();
  const entries: CatalogEntry[] = [];
  for (const key of pointKeys.keys()) {
    const parsed = parsePointKey(key);
    if (parsed?.kind !== "manifest") continue;
    const attestations = await readAttestations(repository, parsed.pointId, pointKeys);
    try {
      const point = await repository.readPoint(parsed.pointId);
      await readTrees(repository, point, inventory, trees);
      entries.push(judgePoint(point, { inventory, trees, epochs, attestations }));
    } catch (error) {
      if (hasCode(error, "UNREACHABLE", "ACCESS_DENIED", "STORE_REFUSED")) throw error;
      entries.push({ id: parsed.pointId, state: "unreadable", reasons: [toDrError(error).message], attestations });
    }
  }
  entries.sort((a, b) => Date.parse(a.point?.time ?? "") - Date.parse(b.point?.time ?? ""));
  return { entries, inventory, epochs };
}

async function inventoryOf(repository: OpenRepository, prefix: string): Promise<Map<string, number>> {
  const sizes = new Map<string, number>();
  for await (const { key, size } of repository.stores.repository.list(prefix)) sizes.set(key, size);
  return sizes;
}

async function readTrees(
  repository: OpenRepository,
  point: RecoveryPoint,
  inventory: Inventory,
  trees: Map<string, ShardTree>,
): Promise<void> {
  for (const { tree } of point.collections.flatMap((collection) => collection.shards)) {
    if (trees.has(tree.id) || !inventory.has(storeLayout.tree(tree.id))) continue;
    try {
      trees.set(tree.id, await repository.readTree(tree.id));
    } catch (error) {
      // Judged as "cannot be read"; other points may be whole.
      if (!hasCode(error, "OBJECT_CORRUPT", "OBJECT_NOT_FOUND", "KEY_UNAVAILABLE")) throw error;
    }
  }
}

async function readAttestations(
  repository: OpenRepository,
  pointId: string,
  pointKeys: Inventory,
): Promise<Attestation[]> {
  const keys = [...pointKeys.keys()].filter((key) => key.startsWith(`${storeLayout.points}${pointId}/attestations/`));
  const read = await Promise.all(
    keys.map(async (key) => {
      const bytes = await repository.stores.repository.get(key);
      try {
        return [parseRecord(attestationSchema, key, bytes)];
      } catch (error) {
        // One that this version does not understand must not hide every point of the bucket.
        if (hasCode(error, "OBJECT_CORRUPT")) return [];
        throw error;
      }
    }),
  );
  return read.flat();
}
