/** Asks a collection what can be asked again elsewhere: counts, sampled points, and canary queries with their answers. */
import { digestPoint, hasDigest, isSameAnswer } from "../domain/qdrant/point-digest.ts";
import type { DataKey } from "../domain/recovery-points/key.ts";
import type { Canary, CapturedCollection } from "../domain/recovery-points/recovery-point.ts";
import type { CollectionReader, NearestQuery, StoredPoint } from "../ports/qdrant.ts";

const sampledPoints = 64;
const canaryQueries = 5;
const canaryAnswers = 10;

/** Answers of the source that a restored collection must give again. They hold for the capture if they hold before and after it. */
export type Facts = Pick<CapturedCollection, "pointsBefore" | "samples" | "canaries">;
export type Observation = Facts & Pick<CapturedCollection, "pointsAfter">;

export async function observeCollection(
  database: CollectionReader,
  collection: string,
  key: DataKey,
  tell: (detail: string) => void,
): Promise<Facts> {
  const pointsBefore = await database.count(collection);
  const sampled = pointsBefore === 0 ? [] : await database.sample(collection, sampledPoints);
  const samples = sampled.map((point) => ({ id: point.id, digest: digestPoint(key, point) }));
  const asked = await askAll(database, collection, sampled.flatMap(queriesFor).slice(0, canaryQueries));
  const canaries = asked.filter(({ answer }) => hasScores(answer));
  const left = asked.length - canaries.length;
  if (left > 0) {
    tell(
      `${collection}: ${left} of ${asked.length} searches are not kept for comparison: their scores are beyond all numbers`,
    );
  }
  return { pointsBefore, samples, canaries };
}

/** A score beyond what a 32-bit number holds is answered as none at all: it is the same whatever the points are. */
function hasScores(answer: Canary["answer"]): boolean {
  return answer.every(({ score }) => Number.isFinite(score));
}

/**
 * The facts that a base has handed down serve the next capture as well, unless too few of them are left: what held then
 * and holds afterwards held in between.
 */
export function inheritedFacts(base: CapturedCollection): Facts | undefined {
  const { canaries, pointsAfter, samples } = base;
  const isWorn = samples.length < Math.min(pointsAfter, sampledPoints / 2);
  return isWorn ? undefined : { pointsBefore: pointsAfter, samples, canaries };
}

/** Which of the facts still hold; the others say nothing about what was captured. */
export async function confirmFacts(
  database: CollectionReader,
  collection: string,
  key: DataKey,
  { canaries, pointsBefore, samples }: Facts,
): Promise<Observation> {
  const ids = samples.map(({ id }) => id);
  const queries = canaries.map(({ query }) => query as unknown as NearestQuery);
  const [again, answers, pointsAfter] = await Promise.all([
    database.points(collection, ids),
    askAll(database, collection, queries),
    database.count(collection),
  ]);
  const found = new Map(again.map((point) => [point.id, point]));
  const isAsSampled = ({ digest, id }: Facts["samples"][number]) => {
    const point = found.get(id);
    return point !== undefined && hasDigest(key, point, digest);
  };
  return {
    pointsBefore,
    pointsAfter,
    samples: samples.filter(isAsSampled),
    canaries: canaries.filter(({ answer }, rank) => {
      const now = answers[rank]?.answer ?? [];
      return hasScores(now) && isSameAnswer(answer, now);
    }),
  };
}

/** Differences between the observed answers and those of `database`; empty when there are none. */
export async function compareWithObservation(
  database: CollectionReader,
  collection: CapturedCollection,
  key: DataKey,
): Promise<string[]> {
  const { canaries, name, pointsAfter, pointsBefore, samples } = collection;
  const differences: string[] = [];
  // Deletes that came back answer queries too.
  const asked = isExact(collection) ? canaries : [];
  const ids = samples.map(({ id }) => id);
  const queries = asked.map(({ query }) => query as unknown as NearestQuery);
  const [count, points, answers] = await Promise.all([
    database.count(name),
    database.points(name, ids),
    askAll(database, name, queries),
  ]);
  const [least, most] = boundsOf(collection);
  if (count < least || count > most)
    differences.push(`${name}: ${count} points where ${pointsBefore} to ${pointsAfter} were captured`);
  const byId = new Map(points.map((point) => [point.id, point]));
  for (const { id, digest } of samples) {
    const found = byId.get(id);
    if (found === undefined) differences.push(`${name}: point ${id} is missing`);
    else if (!hasDigest(key, found, digest)) differences.push(`${name}: point ${id} differs`);
  }
  // None where the strict mode has come to forbid the questions.
  for (const [rank, { answer }] of answers.entries()) {
    if (!hasScores(answer) || !isSameAnswer(asked[rank]?.answer ?? [], answer))
      differences.push(`${name}: canary query ${rank + 1} answers otherwise`);
  }
  return differences;
}

/**
 * How many points a restore may yield. Points that came and went during the capture are in neither count, so this finds
 * what is grossly wrong; what is finer, the samples find, and they are all points of a small collection.
 */
function boundsOf(collection: CapturedCollection): readonly [least: number, most: number] {
  const { pointsAfter, pointsBefore } = collection;
  const most = Math.max(pointsBefore, pointsAfter);
  const tolerance = Math.abs(pointsAfter - pointsBefore) + Math.max(sampledPoints, most / 10);
  // Any number of deletes may be undone in a capture that is not known to be exact.
  const mostFound = isExact(collection) ? most + tolerance : Number.POSITIVE_INFINITY;
  return [Math.min(pointsBefore, pointsAfter) - tolerance, mostFound];
}

function isExact({ shards }: CapturedCollection): boolean {
  return shards.every((shard) => shard.isExact);
}

/** Every dense vector of a point is a question; other kinds are compared by the samples. */
export function queriesFor(point: StoredPoint): NearestQuery[] {
  const vectors: [string | undefined, unknown][] = Array.isArray(point.vector)
    ? [[undefined, point.vector]]
    : Object.entries(point.vector as Record<string, unknown>);
  return vectors
    .filter(([, vector]) => Array.isArray(vector) && vector.every((value) => typeof value === "number"))
    .map(([using, vector]) => ({ vector, limit: canaryAnswers, ...(using === undefined ? {} : { using }) }));
}

async function askAll(
  database: CollectionReader,
  collection: string,
  queries: readonly NearestQuery[],
): Promise<Canary[]> {
  const answers = await database.nearest(collection, queries);
  if (answers === undefined) return [];
  return queries.map((query, rank) => ({ query: query as unknown as Canary["query"], answer: answers[rank] ?? [] }));
}
