/** Asks a collection what can be asked again elsewhere: counts, sampled points, and canary queries with their answers. */
import { digestSketch, isSameAnswer } from "../domain/qdrant/point-digest.ts";
import type { NamedVector } from "../domain/qdrant/point-vectors.ts";
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
import { hasCode } from "../errors.ts";
import type { CollectionDescription, CollectionReader, NearestQuery, PointId } from "../ports/qdrant.ts";
import { canaryAnswers, isStrict, type Question, questionsFor } from "./canary-questions.ts";

const sampledPoints = 64;
/** Of large points fewer are sampled: each is read before the capture, after it, and after a restore. */
export const sampledBytes = 32 * 1024 * 1024;

/** What a collection answered before its capture: it holds for the capture if it holds before and after it. */
export interface Observation extends Pick<CollectionFacts, "samples" | "canaries"> {
  readonly pointsBefore: number;
}

export async function observeCollection(
  database: CollectionReader,
  described: CollectionDescription,
  key: DataKey,
  tell: (detail: string) => void,
): Promise<Observation> {
  const collection = described.name;
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
    questions.push(...questionsFor(samples.length, point, questions, described));
    samples.push({ id: point.id, digest: digestSketch(key, point) });
  }
  const among = samples.map(({ id }) => id);
  const asked = (await askAll(database, collection, questions, among)).flatMap(({ answer, question }) =>
    answer === undefined ? [] : [canaryOf(question, answer)],
  );
  const canaries = asked.filter(({ answer }) => hasScores(answer));
  const left = asked.length - canaries.length;
  if (left > 0) {
    tell(
      `${collection}: ${left} of ${asked.length} searches are not kept for comparison: their scores are beyond all numbers`,
    );
  }
  return { pointsBefore, samples, canaries };
}

function canaryOf({ amongSamples, query: { filter, using }, sample }: Question, answer: Canary["answer"]): Canary {
  return {
    sample,
    ...(using === undefined ? {} : { using }),
    ...(amongSamples === true ? { amongSamples } : {}),
    ...(filter === undefined ? {} : { filter }),
    answer,
  };
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
  const holding = holdingIn(facts, lapsed);
  return (
    holding.samples.length >= Math.min(pointsAfter, sampledPoints / 2) &&
    (facts.canaries.length === 0 || holding.canaries.length > 0)
  );
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
  const held = heldIn(holding, compared);
  const answers = await askAll(database, collection, questionsOf(holding.canaries, compared), held);
  const now = lapsedBut(facts, {
    samples: holding.samples.filter(({ id }) => compared.get(id)?.isHeld === true),
    canaries: answers.flatMap(({ answer, question: { canary } }) =>
      answer !== undefined && isAnsweredAlike(canary, answer, held) ? [canary] : [],
    ),
  });
  return { pointsAfter, ...(now === undefined ? {} : { lapsed: now }) };
}

/** What was compared, and what could not be. */
export interface Comparison {
  /** Each as a sentence; none when all is as it was. */
  readonly differences: readonly string[];
  readonly samples: number;
  /** Those that were asked. */
  readonly canaries: number;
  /** Which were not asked, and why, as sentences. */
  readonly skipped: readonly string[];
}

/** Compares what `database` answers with what was observed. */
export async function compareWithObservation(
  database: CollectionReader,
  collection: CollectionWithFacts,
  key: DataKey,
): Promise<Comparison> {
  const { name } = collection;
  const holding = holdingIn(collection, undefined);
  const differences: string[] = [];
  const [count, compared] = await Promise.all([database.count(name), compareSamples(database, name, key, holding)]);
  const [least, most] = boundsOf(collection);
  if (count < least || count > most) differences.push(`${name}: ${count} points where ${boundsInWords(least, most)}`);
  for (const { id } of holding.samples) {
    const sample = compared.get(id);
    if (sample === undefined) differences.push(`${name}: point ${id} is missing`);
    else if (!sample.isHeld) differences.push(`${name}: point ${id} differs`);
  }
  const doubt = doubtOf(collection);
  const certain = holding.canaries.filter(({ amongSamples }) => doubt === undefined || amongSamples === true);
  const held = heldIn(holding, compared);
  const answers = await askAll(database, name, questionsOf(certain, compared), held);
  const answered = answers.flatMap(({ answer, question: { canary } }) =>
    answer === undefined ? [] : [{ canary, answer }],
  );
  for (const { answer, canary } of answered) {
    if (!isAnsweredAlike(canary, answer, held))
      differences.push(`${name}: canary query ${canary.at + 1} answers otherwise`);
  }
  const skipped = [
    skippedInWords(
      name,
      collection.lapsed?.canaries.length ?? 0,
      "points near them have changed since they were chosen",
    ),
    skippedInWords(name, holding.canaries.length - certain.length, doubt ?? ""),
    skippedInWords(name, answers.length - answered.length, "this Qdrant refuses such searches, as a strict mode does"),
  ].filter((sentence) => sentence !== undefined);
  return { differences, samples: holding.samples.length, canaries: answered.length, skipped };
}

/** Searches among all points with the source's own answers, where those are certain: to be asked again by the index. */
export async function recordedSearches(
  database: CollectionReader,
  collection: CollectionWithFacts,
  key: DataKey,
): Promise<readonly { readonly query: NearestQuery; readonly best: Canary["answer"] }[]> {
  if (doubtOf(collection) !== undefined) return [];
  const holding = holdingIn(collection, undefined);
  const compared = await compareSamples(database, collection.name, key, holding);
  return questionsOf(holding.canaries, compared)
    .filter(({ amongSamples }) => amongSamples !== true)
    .map(({ canary, query }) => ({ query, best: canary.answer }));
}

function boundsInWords(least: number, most: number): string {
  if (least === most) return `${least} were captured`;
  return most === Number.POSITIVE_INFINITY
    ? `at least ${least} were captured`
    : `${Math.max(0, least)} to ${most} were captured`;
}

function skippedInWords(name: string, count: number, because: string): string | undefined {
  if (count === 0) return undefined;
  return `${name}: ${count} canary ${count === 1 ? "query was" : "queries were"} not asked: ${because}`;
}

/**
 * Why answers among all points need not be those of what was captured. What held before a capture and holds after it may have been
 * otherwise in between, for as long as points come and go; and deletes that came back answer queries too.
 */
function doubtOf(collection: CapturedCollection): string | undefined {
  if (!isExact(collection)) return "the capture is not known to be exact";
  return collection.isUndisturbed === true ? undefined : "points were written while the collection was captured";
}

type KnownCanary = Holding["canaries"][number];
type KnownQuestion = Question & { readonly canary: KnownCanary };

/** The canaries whose samples are as they were, each with its vector. A sample that is not is a difference of its own. */
function questionsOf(
  canaries: Holding["canaries"],
  compared: ReadonlyMap<PointId, ComparedSample>,
): readonly KnownQuestion[] {
  const samples = new Map([...compared.values()].map((sample) => [sample.at, sample]));
  return canaries.flatMap((canary) => {
    const { amongSamples, filter, sample, using } = canary;
    const asking = samples.get(sample);
    const found = asking?.isHeld === true ? asking.vectors.find((vector) => vector.using === using) : undefined;
    if (found === undefined) return [];
    const query = { ...found, ...(filter === undefined ? {} : { filter }), limit: canaryAnswers };
    return [{ canary, sample, query, ...(amongSamples === true ? { amongSamples } : {}) }];
  });
}

/** Of an answer among samples, what has lapsed since is left out: the others keep their order. */
function isAnsweredAlike(canary: KnownCanary, now: Canary["answer"], held: readonly PointId[]): boolean {
  if (!hasScores(now)) return false;
  if (canary.amongSamples !== true) return isSameAnswer(canary.answer, now);
  const ids = new Set(held);
  const expected = canary.answer.filter(({ id }) => ids.has(id));
  return isSameAnswer(expected, now.slice(0, expected.length));
}

function heldIn({ samples }: Holding, compared: ReadonlyMap<PointId, ComparedSample>): readonly PointId[] {
  return samples.flatMap(({ id }) => (compared.get(id)?.isHeld === true ? [id] : []));
}

/**
 * How many points a restore may yield. Of a collection that was written to, points that came and went during the capture are in
 * neither count, so that this finds what is grossly wrong; what is finer, the samples find, and they are all points of a small
 * collection.
 */
function boundsOf(collection: CollectionWithFacts): readonly [least: number, most: number] {
  const { isUndisturbed, pointsAfter, pointsBefore } = collection;
  const areCertain = isUndisturbed === true && isExact(collection);
  // A strict mode that forbids exact counts has them estimated.
  if (areCertain && !isStrict({ config: (collection.config ?? {}) as CollectionDescription["config"] }))
    return [pointsAfter, pointsAfter];
  const most = Math.max(pointsBefore, pointsAfter);
  const tolerance = Math.abs(pointsAfter - pointsBefore) + Math.max(sampledPoints, most / 10);
  // Any number of deletes may be undone in a capture that is not known to be exact.
  const mostFound = isExact(collection) ? most + tolerance : Number.POSITIVE_INFINITY;
  return [Math.floor(Math.min(pointsBefore, pointsAfter) - tolerance), Math.ceil(mostFound)];
}

function isExact({ shards }: CapturedCollection): boolean {
  return shards.every((shard) => shard.isExact);
}

interface ComparedSample {
  readonly at: number;
  readonly isHeld: boolean;
  /** Those that a canary asks with. */
  readonly vectors: readonly NamedVector[];
}

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

interface Answered<Asked extends Question> {
  readonly question: Asked;
  /** Undefined: the collection's strict mode forbids the question, or Qdrant refuses it. */
  readonly answer: Canary["answer"] | undefined;
}

/** In the order of the questions. What Qdrant may refuse is asked apart: no capture ends by it. */
async function askAll<Asked extends Question>(
  database: CollectionReader,
  collection: string,
  questions: readonly Asked[],
  samples: readonly PointId[],
): Promise<readonly Answered<Asked>[]> {
  const queryOf = ({ amongSamples, query }: Asked): NearestQuery =>
    amongSamples === true ? { ...query, among: samples } : query;
  const ask = async (asked: readonly Asked[]) => database.nearest(collection, asked.map(queryOf));
  const plain = await ask(questions.filter(isPlain));
  const others = await ask(questions.filter((question) => !isPlain(question))).catch((error: unknown) => {
    if (hasCode(error, "QDRANT_REFUSED")) return undefined;
    throw error;
  });
  const [ofPlain, ofOthers] = [plain?.values(), others?.values()];
  return questions.map((question) => ({ question, answer: (isPlain(question) ? ofPlain : ofOthers)?.next().value }));
}

/** By a dense vector, among all points. */
function isPlain({ amongSamples, query: { filter, vector } }: Question): boolean {
  return amongSamples !== true && filter === undefined && Array.isArray(vector) && typeof vector[0] === "number";
}
