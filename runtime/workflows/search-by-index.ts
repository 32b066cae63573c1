/** Searches in a collection by its index, as clients do. */
import { countFound, type ScoredPoint } from "../domain/qdrant/point-digest.ts";
import type { DataKey } from "../domain/recovery-points/key.ts";
import type { CollectionWithFacts } from "../domain/recovery-points/recovery-point.ts";
import { hasCode } from "../errors.ts";
import type { CollectionReader, NearestQuery } from "../ports/qdrant.ts";
import { queriesFor, searchesFor } from "./canary-questions.ts";
import { recordedSearches, sampledBytes } from "./observe-collection.ts";

const searchedPoints = 5;
const mostSearches = 40;

/** Questions that points by chance are, as clients ask them. */
export async function sampleQueries(
  database: CollectionReader,
  collection: string,
  most: number,
): Promise<NearestQuery[]> {
  const ids = await database.sampleIds(collection, most);
  const queries: NearestQuery[] = [];
  for await (const point of database.sketches(collection, ids, sampledBytes)) {
    queries.push(...queriesFor(point));
    if (queries.length >= most) break;
  }
  return queries.slice(0, most);
}

export interface IndexSearches {
  readonly asked: number;
  /** How many found something. */
  readonly found: number;
  /** The share of the nearest points that these found; absent where nothing is known of those. */
  readonly recall?: number;
}

interface Search {
  readonly query: NearestQuery;
  /** The nearest points: as recorded at the source, or as an exact search finds them here; undefined where those are forbidden. */
  readonly best: readonly ScoredPoint[] | undefined;
}

/** By vectors of every kind, and with a filter where a field is indexed. Beside what was recorded, points by chance are asked for. */
export async function searchByIndex(
  database: CollectionReader,
  collection: CollectionWithFacts,
  key: DataKey,
): Promise<IndexSearches> {
  const recorded: readonly Search[] = await recordedSearches(database, collection, key);
  const searches = [...recorded, ...(await searchesByChance(database, collection.name))];
  const byIndex = searches.map(({ query }) => ({ ...query, isApproximate: true }));
  const answers = (await database.nearest(collection.name, byIndex)) ?? [];
  const compared = searches.flatMap(({ best }, rank) =>
    best === undefined ? [] : [{ wanted: best.length, found: countFound(best, answers[rank] ?? []) }],
  );
  const wanted = compared.reduce((sum, each) => sum + each.wanted, 0);
  const found = compared.reduce((sum, each) => sum + each.found, 0);
  return {
    asked: searches.length,
    found: answers.filter((answer) => answer.length > 0).length,
    ...(wanted === 0 ? {} : { recall: found / wanted }),
  };
}

async function searchesByChance(database: CollectionReader, collection: string): Promise<readonly Search[]> {
  const settings = await database.describe(collection);
  const ids = await database.sampleIds(collection, searchedPoints);
  const queries: NearestQuery[] = [];
  for await (const point of database.sketches(collection, ids, sampledBytes)) {
    queries.push(...searchesFor(point, settings));
    if (queries.length >= mostSearches) break;
  }
  const asked = queries.slice(0, mostSearches);
  const exact = await database.nearest(collection, asked).catch((error: unknown) => {
    if (hasCode(error, "QDRANT_REFUSED")) return undefined;
    throw error;
  });
  return asked.map((query, rank) => ({ query, best: exact?.[rank] }));
}
