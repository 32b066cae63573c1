/** From where a journal has to be applied to what is captured now, so that it becomes what the source is at any later position. */
import type { JournalPosition } from "../../domain/journal/position.ts";
import type { ObjectStoreReader } from "../../ports/object-store.ts";
import type { VectorDatabase } from "../../ports/qdrant.ts";
import { positionBefore } from "../../repository/journal/find-position.ts";
import { newestPosition } from "../../repository/journal/journal-reader.ts";

/** Servers tell when an optimization began by other clocks than the gate tells when it wrote. */
const clocksDifferMs = 5_000;

export interface BasePositionRequest {
  /** The repository with the journal. */
  readonly store: ObjectStoreReader;
  readonly region: string;
  readonly database: Pick<VectorDatabase, "collections" | "optimizations" | "shards">;
}

export interface BasePosition {
  readonly position: JournalPosition;
  /** False: an optimization runs that began before the journal did. What it undoes meanwhile, the journal does not tell. */
  readonly isExact: boolean;
}

/** To be asked before the capture begins. Undefined where there is no journal. */
export async function basePosition({
  database,
  region,
  store,
}: BasePositionRequest): Promise<BasePosition | undefined> {
  const newest = await newestPosition(store, region);
  if (newest.number === 0) return undefined;
  const oldest = await oldestOptimization(database);
  if (oldest === undefined) return { position: newest, isExact: true };
  const position = await positionBefore(store, region, new Date(oldest.getTime() - clocksDifferMs), newest);
  return { position, isExact: position.number > 0 };
}

/** When the oldest of the optimizations began that run now: at the begin of time where a server does not tell. */
async function oldestOptimization(database: BasePositionRequest["database"]): Promise<Date | undefined> {
  const shards = await Promise.all(
    (await database.collections()).map(async (collection) =>
      (await database.shards(collection)).map((shard) => ({ collection, shard })),
    ),
  );
  // At once: so one answer of a server serves all of its shards.
  const begun = await Promise.all(
    shards.flat().map(async ({ collection, shard }) => {
      const told = await database.optimizations(collection, shard);
      return told === undefined ? [0] : told.underWay.map(timeInMark);
    }),
  );
  const times = begun.flat();
  return times.length === 0 ? undefined : new Date(Math.min(...times));
}

function timeInMark(mark: string): number {
  const time = Date.parse(mark.slice(mark.lastIndexOf("@") + 1));
  return Number.isNaN(time) ? 0 : time;
}
