/** Asks a collection what can be asked again elsewhere: counts, sampled points, and canary queries with their answers. */
import { digestSketch, isSameAnswer } from "../domain/qdrant/point-digest.ts";
import {
  type Canary,
  type CollectionFacts,
  type Holding,
  holdingIn,
  type Lapsed,
  lapsedBut,
} from "../domain/recovery-points/collection-facts.ts";
import type { DataKey } from "../domain/recovery-points/key.ts";
import type { CapturedCollection, CollectionWithFacts } from "../domain/recovery-points/recovery-point.ts";
import type { CollectionReader, NearestQuery, PointId, SketchedPoint } from "../ports/qdrant.ts";

const sampledPoints = 64;
/** Of large points fewer are sampled: each is read before the capture, after it, and after a restore. */
const sampledBytes = 32 * 1024 * 1024;
const canaryQueries = 5;
/** Numbers of all canary queries of a collection: they are held while it is compared. */
const canaryNumbers = 32_768;
const canaryAnswers = 10;

/** What a collection answered before its capture: it holds for the capture if it holds before and after it. */
export interface Observation extends Pick<CollectionFacts, "samples" | "canaries"> {
  readonly pointsBefore: number;
}

/** How a canary is asked: with a vector of a sample that is as it was. */
interface Question {
  readonly sample: number;
  readonly query: NearestQuery;
}

export async function observeCollection(
  database: CollectionReader,
  collection: string,
  key: DataKey,
  tell: (detail: string) => void,
): Promise<Observation> {
  const pointsBefore = await database.count(collection);
  const ids = pointsBefore === 0 ? [] : await database.sampleIds(collection, sampledPoints);
  const samples: Observation["samples"] = [];
  const questions: Question[] = [];
  // In an order of their own: the same points make the same facts.
  for await (const point of database.sketches(collection, ids.sort(byText), sampledBytes)) {
    if ("isTooLarge" in point) {
      tell(`${collection}: point ${point.id} is captured, and too large to be compared`);
      continue;
    }
    const sample = samples.length;
    samples.push({ id: point.id, digest: digestSketch(key, point) });
    questions.push(...queriesWithin(point, questions).map((query) => ({ sample, query })));
  }
  const answers = await askAll(database, collection, questions);
  const asked = questions.flatMap(({ query: { using }, sample }, rank) => {
    const answer = answers[rank];
    return answer === undefined ? [] : [{ sample, ...(using === undefined ? {} : { using }), answer }];
  });
  const canaries = asked.filter(({ answer }) => hasScores(answer));
  const left = asked.length - canaries.length;
  if (left > 0) {
    tell(
      `${collection}: ${left} of ${asked.length} searches are not kept for comparison: their scores are beyond all numbers`,
    );
  }
  return { pointsBefore, samples, canaries };
}

function byText(a: PointId, b: PointId): number {
  return `${a}` < `${b}` ? -1 : 1;
}

/** A score beyond what a 32-bit number holds is answered as none at all: it is the same whatever the points are. */
function hasScores(answer: Canary["answer"]): boolean {
  return answer.every(({ score }) => Number.isFinite(score));
}

/**
 * Whether the facts that a base has handed down serve the next capture as well: what held then and holds afterwards held in between.
 * Not when too few of them are left.
 */
export function serveAgain(
  facts: CollectionFacts,
  { lapsed, pointsAfter }: Pick<CapturedCollection, "lapsed" | "pointsAfter">,
): boolean {
  return holdingIn(facts, lapsed).samples.length >= Math.min(pointsAfter, sampledPoints / 2);
}

/** Which of the facts have lapsed by now. */
export async function confirmFacts(
  database: CollectionReader,
  collection: string,
  key: DataKey,
  { facts, lapsed }: { readonly facts: CollectionFacts; readonly lapsed: Lapsed | undefined },
): Promise<Pick<CapturedCollection, "lapsed" | "pointsAfter">> {
  const holding = holdingIn(facts, lapsed);
  const [compared, pointsAfter] = await Promise.all([
    compareSamples(database, collection, key, holding),
    database.count(collection),
  ]);
  const asked = questionsOf(holding.canaries, compared);
  const answers = await askAll(database, collection, asked);
  const now = lapsedBut(facts, {
    samples: holding.samples.filter(({ id }) => compared.get(id)?.isHeld === true),
    canaries: asked.flatMap(({ canary }, rank) => {
      const answer = answers[rank] ?? [];
      return hasScores(answer) && isSameAnswer(canary.answer, answer) ? [canary] : [];
    }),
  });
  return { pointsAfter, ...(now === undefined ? {} : { lapsed: now }) };
}

/** Differences between the observed answers and those of `database`; empty when there are none. */
export async function compareWithObservation(
  database: CollectionReader,
  collection: CollectionWithFacts,
  key: DataKey,
): Promise<string[]> {
  const { name, pointsAfter, pointsBefore } = collection;
  const holding = holdingIn(collection, undefined);
  const differences: string[] = [];
  const [count, compared] = await Promise.all([database.count(name), compareSamples(database, name, key, holding)]);
  const [least, most] = boundsOf(collection);
  if (count < least || count > most)
    differences.push(`${name}: ${count} points where ${pointsBefore} to ${pointsAfter} were captured`);
  for (const { id } of holding.samples) {
    const sample = compared.get(id);
    if (sample === undefined) differences.push(`${name}: point ${id} is missing`);
    else if (!sample.isHeld) differences.push(`${name}: point ${id} differs`);
  }
  // Deletes that came back answer queries too.
  const asked = isExact(collection) ? questionsOf(holding.canaries, compared) : [];
  // None where the strict mode has come to forbid the questions.
  for (const [rank, answer] of (await askAll(database, name, asked)).entries()) {
    const { answer: expected = [], at = rank } = asked[rank]?.canary ?? {};
    if (!hasScores(answer) || !isSameAnswer(expected, answer))
      differences.push(`${name}: canary query ${at + 1} answers otherwise`);
  }
  return differences;
}

/** The canaries whose samples are as they were, each with its vector. A sample that is not is a difference of its own. */
function questionsOf(
  canaries: Holding["canaries"],
  compared: ReadonlyMap<PointId, ComparedSample>,
): (Question & { readonly canary: Holding["canaries"][number] })[] {
  const samples = new Map([...compared.values()].map((sample) => [sample.at, sample]));
  return canaries.flatMap((canary) => {
    const compared = samples.get(canary.sample);
    const found = compared?.isHeld === true && compared.vectors.find(({ using }) => using === canary.using);
    if (found === undefined || found === false) return [];
    return [{ canary, sample: canary.sample, query: { ...found, limit: canaryAnswers } }];
  });
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

interface ComparedSample {
  readonly at: number;
  readonly isHeld: boolean;
  /** Those that a canary asks with. */
  readonly vectors: NamedVectors;
}

type NamedVectors = Exclude<SketchedPoint, { readonly isTooLarge: true }>["vectors"];

/** By id, whether each sample that is there is as it was; a point that is too large now is not. */
async function compareSamples(
  database: CollectionReader,
  collection: string,
  key: DataKey,
  { canaries, samples }: Holding,
): Promise<ReadonlyMap<PointId, ComparedSample>> {
  const known = new Map(samples.map((sample) => [sample.id, sample]));
  const asking = new Set(canaries.map(({ sample }) => sample));
  const compared = new Map<PointId, ComparedSample>();
  for await (const point of database.sketches(collection, [...known.keys()])) {
    const sample = known.get(point.id);
    if (sample === undefined) continue;
    const isHeld = !("isTooLarge" in point) && digestSketch(key, point) === sample.digest;
    const vectors = "isTooLarge" in point || !asking.has(sample.at) ? [] : point.vectors;
    compared.set(point.id, { at: sample.at, isHeld, vectors });
  }
  return compared;
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
function queriesWithin(point: SketchedPoint, there: readonly Question[]): NearestQuery[] {
  const numbersOf = ({ vector }: NearestQuery) => (vector as readonly number[]).length;
  let room = canaryNumbers - there.reduce((sum, { query }) => sum + numbersOf(query), 0);
  return queriesFor(point)
    .slice(0, canaryQueries - there.length)
    .filter((query) => {
      if (numbersOf(query) > room) return false;
      room -= numbersOf(query);
      return true;
    });
}

/** The answers, in the order of the questions; none where the strict mode forbids them. */
async function askAll(
  database: CollectionReader,
  collection: string,
  questions: readonly Question[],
): Promise<readonly Canary["answer"][]> {
  const queries = questions.map(({ query }) => query);
  return (await database.nearest(collection, queries)) ?? [];
}
