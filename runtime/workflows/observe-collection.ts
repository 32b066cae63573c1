/** Asks a collection what can be asked again elsewhere: counts, sampled points, and canary queries with their answers. */
import { digestSketch, hasFormerDigest, isOfSketch, isSameAnswer } from "../domain/qdrant/point-digest.ts";
import type { DataKey } from "../domain/recovery-points/key.ts";
import type { Canary, CapturedCollection } from "../domain/recovery-points/recovery-point.ts";
import type { CollectionReader, NearestQuery, PointId, SketchedPoint } from "../ports/qdrant.ts";

const sampledPoints = 64;
/** Of large points fewer are sampled: each is read before the capture, after it, and after a restore. */
const sampledBytes = 32 * 1024 * 1024;
const canaryQueries = 5;
/** Numbers of all canary queries of a collection: they stand in each of its recovery points. */
const canaryNumbers = 32_768;
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
  const ids = pointsBefore === 0 ? [] : await database.sampleIds(collection, sampledPoints);
  const samples: Facts["samples"] = [];
  const queries: NearestQuery[] = [];
  for await (const point of database.sketches(collection, ids, sampledBytes)) {
    if ("isTooLarge" in point) {
      tell(`${collection}: point ${point.id} is captured, and too large to be compared`);
      continue;
    }
    samples.push({ id: point.id, digest: digestSketch(key, point) });
    queries.push(...queriesWithin(point, queries));
  }
  const asked = await askAll(database, collection, queries);
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
  const queries = canaries.map(({ query }) => query as unknown as NearestQuery);
  const [held, answers, pointsAfter] = await Promise.all([
    compareSamples(database, collection, key, samples),
    askAll(database, collection, queries),
    database.count(collection),
  ]);
  return {
    pointsBefore,
    pointsAfter,
    samples: samples.filter(({ id }) => held.get(id) === true),
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
  const queries = asked.map(({ query }) => query as unknown as NearestQuery);
  const [count, held, answers] = await Promise.all([
    database.count(name),
    compareSamples(database, name, key, samples),
    askAll(database, name, queries),
  ]);
  const [least, most] = boundsOf(collection);
  if (count < least || count > most)
    differences.push(`${name}: ${count} points where ${pointsBefore} to ${pointsAfter} were captured`);
  for (const { id } of samples) {
    const isHeld = held.get(id);
    if (isHeld === undefined) differences.push(`${name}: point ${id} is missing`);
    else if (!isHeld) differences.push(`${name}: point ${id} differs`);
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

/** By id, whether each sample that is there is as it was; a point that is too large now is not. */
async function compareSamples(
  database: CollectionReader,
  collection: string,
  key: DataKey,
  samples: Facts["samples"],
): Promise<ReadonlyMap<PointId, boolean>> {
  const digests = new Map(samples.map(({ digest, id }) => [id, digest]));
  const held = new Map<PointId, boolean>();
  const former = samples.flatMap(({ digest, id }) => (isOfSketch(digest) ? [] : [id]));
  for (const point of former.length === 0 ? [] : await database.points(collection, former)) {
    held.set(point.id, hasFormerDigest(key, point, digests.get(point.id) ?? ""));
  }
  const ids = samples.flatMap(({ digest, id }) => (isOfSketch(digest) ? [id] : []));
  for await (const point of database.sketches(collection, ids)) {
    held.set(point.id, !("isTooLarge" in point) && digestSketch(key, point) === digests.get(point.id));
  }
  return held;
}

/** Every dense vector of a point is a question; other kinds are compared by the samples. */
function queriesFor(point: SketchedPoint): NearestQuery[] {
  if ("isTooLarge" in point) return [];
  return point.vectors.map((vector) => ({ ...vector, limit: canaryAnswers }));
}

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

/** As many of them as there is room for beside those there are. */
function queriesWithin(point: SketchedPoint, there: readonly NearestQuery[]): NearestQuery[] {
  const numbersOf = ({ vector }: NearestQuery) => (vector as readonly number[]).length;
  let room = canaryNumbers - there.reduce((sum, query) => sum + numbersOf(query), 0);
  return queriesFor(point)
    .slice(0, canaryQueries - there.length)
    .filter((query) => {
      if (numbersOf(query) > room) return false;
      room -= numbersOf(query);
      return true;
    });
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
