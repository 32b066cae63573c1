/** How long clients wait for answers now: the slowest of a few searches in each collection. */
import type { VectorDatabase } from "../../ports/qdrant.ts";
import { sampleQueries } from "../search-by-index.ts";

const searchesEach = 5;

export interface SlowestQuery {
  /** 0 when there is nothing to be searched for. */
  readonly ms: number;
  readonly collection?: string;
}

export async function slowestQuery(database: VectorDatabase): Promise<SlowestQuery> {
  let slowest: SlowestQuery = { ms: 0 };
  for (const collection of await database.collections()) {
    // One after another: what is measured is an answer, not the load that the questions are.
    for (const query of await sampleQueries(database, collection, searchesEach)) {
      const begun = performance.now();
      await database.nearest(collection, [{ ...query, isApproximate: true }]);
      const ms = performance.now() - begun;
      if (ms > slowest.ms) slowest = { ms, collection };
    }
  }
  return slowest;
}
