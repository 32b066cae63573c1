/** What a planned restore reads and how long it takes, told before it is begun. */
import { forEachConcurrently } from "../../async/for-each-concurrently.ts";
import type { CapturedCollection, RecoveryPoint } from "../../domain/recovery-points/recovery-point.ts";
import {
  calibratedRates,
  predictedSeconds,
  type RestoreRates,
  type RestoreSize,
} from "../../domain/recovery-points/restore-estimate.ts";
import { shardTreeSchema } from "../../domain/recovery-points/shard-tree.ts";
import { measuredRestores } from "../../repository/control/restore-records.ts";
import type { OpenRepository } from "../../repository/repository.ts";

const treesAtOnce = 8;
/** Older restores say little: data, machines and this tool change. */
const restoresCounted = 8;

interface CollectionsToRestore {
  readonly collections: readonly { readonly captured: CapturedCollection; readonly name: string }[];
}

interface SizedCollections extends RestoreSize {
  readonly sized: RestoreEstimate["collections"];
}

export interface RestoreEstimate {
  readonly collections: readonly {
    readonly name: string;
    /** Its name in the recovery point. */
    readonly captured: string;
    readonly shards: number;
    readonly points: number;
    readonly bytes: number;
    readonly isExact: boolean;
  }[];
  /** The packs that hold what is restored, whole: at least what is read. */
  readonly bytes: number;
  readonly predictedSeconds: number;
  readonly rates: RestoreRates;
  /** Of how many of the region's own restores the rates are; 0: of another machine. */
  readonly calibratedBy: number;
}

export async function estimateRestore(
  repository: OpenRepository,
  plan: CollectionsToRestore,
): Promise<RestoreEstimate> {
  const [{ sized, ...size }, measured] = await Promise.all([
    sizedCollections(repository, plan),
    measuredRestores(repository.stores.control, restoresCounted),
  ]);
  const rates = calibratedRates(measured);
  return {
    collections: sized,
    bytes: size.bytes,
    predictedSeconds: predictedSeconds(size, rates),
    rates,
    calibratedBy: measured.length,
  };
}

export async function sizeOfRestore(repository: OpenRepository, plan: CollectionsToRestore): Promise<RestoreSize> {
  const { sized: _sized, ...size } = await sizedCollections(repository, plan);
  return size;
}

async function sizedCollections(repository: OpenRepository, plan: CollectionsToRestore): Promise<SizedCollections> {
  const collections: RestoreEstimate["collections"][number][] = [];
  const all = new Map<string, number>();
  await forEachConcurrently(treesAtOnce, plan.collections, async ({ captured, name }) => {
    const packs = new Map<string, number>();
    for (const { tree } of captured.shards) {
      for (const { id, size } of (await repository.readTree(tree.id, shardTreeSchema)).packs) packs.set(id, size);
    }
    for (const [id, size] of packs) all.set(id, size);
    collections.push({
      name,
      captured: captured.name,
      shards: captured.shards.length,
      points: captured.pointsAfter,
      bytes: sumOf(packs),
      isExact: captured.shards.every(({ isExact }) => isExact),
    });
  });
  return {
    sized: collections.sort((a, b) => (a.name < b.name ? -1 : 1)),
    bytes: sumOf(all),
    collections: collections.length,
    shards: collections.reduce((sum, collection) => sum + collection.shards, 0),
  };
}

/** All of a recovery point, under the names that it was captured by. */
export function allCaptured({ collections }: RecoveryPoint) {
  return { collections: collections.map((captured) => ({ captured, name: captured.name })) };
}

function sumOf(sizes: ReadonlyMap<string, number>): number {
  return [...sizes.values()].reduce((sum, size) => sum + size, 0);
}
