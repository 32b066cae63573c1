/**
 * What a collection was when it was captured, beside its shards: its settings, and answers that a restored copy must give again. Facts
 * are stored once by content and named by the recovery points that they hold for. Of what a later recovery point finds changed it says only
 * that it has lapsed, so that a point that changes costs a position, not the facts again.
 */
import { z } from "zod";
import { exactRecord, exactValue } from "../exact-schemas.ts";

const position = z.number().int().nonnegative();
/** Numbers beyond 2^53 are bigints. */
export const nameOrNumberSchema = z.union([z.string(), z.number(), z.bigint()]);

/** A point as the source answered it before and after the capture, equal both times; compared after a restore. */
const sampleSchema = z.object({ id: nameOrNumberSchema, digest: z.string() });

/** From 2^53 on, JSON's digits of a whole number are read as a bigint; a score is a float all the same. */
const scoreSchema = z.union([z.number(), z.bigint().transform(Number)]).nullable();

/** A nearest-neighbour question with the answer of the source, equal before and after the capture. */
const canarySchema = z.object({
  /** The position of the sample whose vector is asked with: where the sample is as it was, so is the question. */
  sample: position,
  /** The name of the vector; absent for the unnamed one. */
  using: z.string().optional(),
  /** Asked among the samples alone: it holds as long as they do, whatever is written beside them. Without it, among all points. */
  amongSamples: z.literal(true).optional(),
  /** Among the points alone that have this value in an indexed field of their payload. */
  filter: z.object({ key: z.string(), value: z.union([z.string(), z.number().int(), z.boolean()]) }).optional(),
  answer: z.array(z.object({ id: nameOrNumberSchema, score: scoreSchema })),
});
export type Canary = z.infer<typeof canarySchema>;

export const collectionFactsSchema = z.object({
  format: z.literal(1),
  /** As `GET /collections/{name}` answered: `config` whole. */
  config: exactValue,
  payloadIndexes: exactRecord,
  samples: z.array(sampleSchema),
  canaries: z.array(canarySchema),
});
export type CollectionFacts = z.infer<typeof collectionFactsSchema>;

/** Positions of what no longer holds: it says nothing about what was captured. */
export const lapsedSchema = z.object({ samples: z.array(position), canaries: z.array(position) });
export type Lapsed = z.infer<typeof lapsedSchema>;

/** What names facts: a collection of a recovery point, or of a capture's plan. */
export const namedFactsSchema = z.object({
  name: z.string(),
  /** The key its facts, chunks and trees are sealed with. */
  key: z.string(),
  /** The keyed name of its facts. */
  facts: z.string().regex(/^[0-9a-f]{64}$/),
  lapsed: lapsedSchema.optional(),
  /** Exact count before the capture; of an incremental, as its base counted. */
  pointsBefore: z.number().int().nonnegative(),
});
export type NamedFacts = z.infer<typeof namedFactsSchema>;

/** Which samples and canaries still hold. */
export function holdingIn(facts: CollectionFacts, lapsed: Lapsed | undefined): Holding {
  const gone = { samples: new Set(lapsed?.samples), canaries: new Set(lapsed?.canaries) };
  const samples = facts.samples.flatMap((sample, at) => (gone.samples.has(at) ? [] : [{ ...sample, at }]));
  const canaries = facts.canaries.flatMap((canary, at) =>
    gone.canaries.has(at) || gone.samples.has(canary.sample) || facts.samples[canary.sample] === undefined
      ? []
      : [{ ...canary, at }],
  );
  return { samples, canaries };
}

export interface Holding {
  readonly samples: readonly (CollectionFacts["samples"][number] & { readonly at: number })[];
  readonly canaries: readonly (Canary & { readonly at: number })[];
}

/** What has lapsed when only these hold; undefined when nothing has. */
export function lapsedBut(facts: CollectionFacts, { canaries, samples }: Holding): Lapsed | undefined {
  const others = (all: readonly unknown[], held: readonly { readonly at: number }[]) => {
    const positions = new Set(held.map(({ at }) => at));
    return [...all.keys()].filter((at) => !positions.has(at));
  };
  const lapsed = { samples: others(facts.samples, samples), canaries: others(facts.canaries, canaries) };
  return lapsed.samples.length + lapsed.canaries.length === 0 ? undefined : lapsed;
}

/** The same facts without what has lapsed. */
export function withoutLapsed(facts: CollectionFacts, lapsed: Lapsed | undefined): CollectionFacts {
  if (lapsed === undefined) return facts;
  const { canaries, samples } = holdingIn(facts, lapsed);
  const positions = new Map(samples.map(({ at }, position) => [at, position]));
  return {
    ...facts,
    samples: samples.map(({ digest, id }) => ({ id, digest })),
    canaries: canaries.flatMap(({ at: _at, sample, ...canary }) => {
      const position = positions.get(sample);
      return position === undefined ? [] : [{ ...canary, sample: position }];
    }),
  };
}
