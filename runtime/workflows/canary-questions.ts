/** Which questions the points of a collection are: searches that a restored copy must answer as the source did. */
import { z } from "zod";
import type { PayloadScalar } from "../domain/qdrant/payload-scalars.ts";
import { type AskableVector, numbersIn } from "../domain/qdrant/point-vectors.ts";
import type { Canary } from "../domain/recovery-points/collection-facts.ts";
import type { CollectionDescription, NearestQuery, SketchedPoint } from "../ports/qdrant.ts";

export const canaryAnswers = 10;
/** Queries with vectors of one name among all points, those with a filter, and all together. */
const queriesEach = 5;
const filteredQueries = 2;
const canaryQueries = 24;
/** Numbers of all canary queries of a collection: they are held while it is compared. */
const canaryNumbers = 32_768;

/** How a canary is asked: with a vector of a sample that is as it was. */
export interface Question extends Pick<Canary, "amongSamples" | "sample"> {
  readonly query: NearestQuery;
}

export type Settings = Pick<CollectionDescription, "config" | "payloadIndexes">;

/** Every vector of a point is a question. */
export function queriesFor(point: SketchedPoint): NearestQuery[] {
  if ("isTooLarge" in point) return [];
  return point.vectors.map((vector) => ({ ...vector, limit: canaryAnswers }));
}

/** As many as there is room for beside those that were chosen before. */
export function questionsFor(
  sample: number,
  point: SketchedPoint,
  before: readonly Question[],
  settings: Settings,
): Question[] {
  if ("isTooLarge" in point) return [];
  const chosen = [...before];
  const numbersOf = ({ query }: Question) => numbersIn(query.vector as AskableVector);
  let room = canaryNumbers - chosen.reduce((sum, question) => sum + numbersOf(question), 0);
  const choose = (question: Question) => {
    if (chosen.length >= canaryQueries || numbersOf(question) > room) return;
    room -= numbersOf(question);
    chosen.push(question);
  };
  // Limits of a strict mode on filters are many, and a search that it refuses is no answer.
  const mayFilter = !isStrict(settings);
  const filter = mayFilter ? filterBy(point.scalars, settings) : undefined;
  for (const query of queriesFor(point).filter(answersAlike)) {
    const alike = chosen.filter((each) => each.query.using === query.using && each.query.filter === undefined);
    const filtered = chosen.filter((each) => each.query.filter !== undefined && each.amongSamples !== true);
    if (mayFilter && !alike.some(({ amongSamples }) => amongSamples)) choose({ sample, query, amongSamples: true });
    if (alike.filter(({ amongSamples }) => amongSamples !== true).length < queriesEach) choose({ sample, query });
    if (filter === undefined || filtered.length >= filteredQueries) continue;
    if (filtered.length === 0) choose({ sample, query: { ...query, filter }, amongSamples: true });
    choose({ sample, query: { ...query, filter } });
  }
  return chosen.slice(before.length);
}

/** The same question again, by the index, and with a filter where a field of the point is indexed. */
export function searchesFor(point: SketchedPoint, settings: Settings): NearestQuery[] {
  if ("isTooLarge" in point) return [];
  const filter = isStrict(settings) ? undefined : filterBy(point.scalars, settings);
  return queriesFor(point).flatMap((query) => (filter === undefined ? [query] : [query, { ...query, filter }]));
}

/**
 * Whether equal points give equal answers. Not by sparse vectors: Qdrant 1.16.3 finds points by a sparse vector that was deleted and set
 * again until it loads their segment anew, also where an exact search is asked for, and sums scores in another order then.
 */
function answersAlike({ vector }: NearestQuery): boolean {
  return Array.isArray(vector);
}

/** What the index of a field is asked for as clients ask it. */
function filterBy(scalars: readonly PayloadScalar[], { payloadIndexes }: Settings): PayloadScalar | undefined {
  const indexes = new Map(Object.entries(payloadIndexes));
  return scalars.find(({ key, value }) => {
    const { data } = indexSchema.safeParse(indexes.get(key));
    return data !== undefined && asksFor[data] === typeof value;
  });
}

/** The kind of the index, or its settings. */
const kindSchema = z.enum(["keyword", "uuid", "integer", "bool"]);
const indexSchema = z
  .union([kindSchema, z.object({ type: kindSchema, lookup: z.literal(true).nullish() })])
  .transform((index) => (typeof index === "string" ? index : index.type));
const asksFor = { keyword: "string", uuid: "string", integer: "number", bool: "boolean" } as const;

/** Whether limits hold for what clients ask. */
export function isStrict({ config }: Pick<Settings, "config">): boolean {
  return strictSchema.safeParse(config).data?.strict_mode_config?.enabled === true;
}

const strictSchema = z.object({ strict_mode_config: z.object({ enabled: z.boolean().nullish() }).nullish() });
