/** The manifest of a recovery point: small, written last, create-only, never edited. */
import { z } from "zod";

const count = z.number().int().nonnegative();
const time = z.iso.datetime();
const json = z.json();

const shardSchema = z.object({
  id: count,
  /** Custom sharding: the key this shard belongs to. */
  key: z.union([z.string(), z.number()]).optional(),
  /** The peer whose replica was read. */
  peer: count,
  tree: z.object({ id: z.string(), size: count }),
  startedAt: time,
  finishedAt: time,
  method: z.literal("partial-snapshot"),
  /** False when an optimization ran in the shard meanwhile: acknowledged deletes may be back. */
  isExact: z.boolean(),
});
export type CapturedShard = z.infer<typeof shardSchema>;

/** A point as the source answered it before and after the capture, equal both times; compared after a restore. */
const sampleSchema = z.object({ id: z.union([z.number(), z.string()]), digest: z.string() });

/** A nearest-neighbour question with the answer of the source, equal before and after the capture. */
const canarySchema = z.object({
  query: json,
  answer: z.array(z.object({ id: z.union([z.number(), z.string()]), score: z.number() })),
});
export type Canary = z.infer<typeof canarySchema>;

const collectionSchema = z.object({
  name: z.string(),
  /** The key its chunks and trees are sealed with. */
  key: z.string(),
  /** As `GET /collections/{name}` answered: `config` whole. */
  config: json,
  payloadIndexes: z.record(z.string(), json),
  shards: z.array(shardSchema),
  /** Exact counts before and after the capture. */
  pointsBefore: count,
  pointsAfter: count,
  samples: z.array(sampleSchema),
  canaries: z.array(canarySchema),
});
export type CapturedCollection = z.infer<typeof collectionSchema>;

export const captureTypes = ["full", "incremental"] as const;
export type CaptureType = (typeof captureTypes)[number];

export const recoveryPointSchema = z.object({
  format: z.literal(1),
  id: z.string(),
  type: z.enum(captureTypes),
  /** The point whose trees were the base; every point restores without it. */
  base: z.string().optional(),
  region: z.string(),
  epoch: count,
  /** The time the point stands for: the start of its oldest shard capture. */
  time: time,
  finishedAt: time,
  qdrantVersion: z.string(),
  toolVersion: z.string(),
  collections: z.array(collectionSchema),
  aliases: z.array(z.object({ alias: z.string(), collection: z.string() })),
});
export type RecoveryPoint = z.infer<typeof recoveryPointSchema>;

/** A point calls itself exact only when every shard of it is known to be. */
export function isExact(point: RecoveryPoint): boolean {
  return point.collections.every((collection) => collection.shards.every((shard) => shard.isExact));
}

export const repositorySchema = z.object({
  format: z.literal(1),
  id: z.string(),
  /** The key that seals the manifests. */
  key: z.string(),
});
export type Repository = z.infer<typeof repositorySchema>;

const attestationKinds = ["verified", "quarantined"] as const;

/** A later finding about a point, kept beside it. */
export const attestationSchema = z.object({
  point: z.string(),
  kind: z.enum(attestationKinds),
  at: time,
  region: z.string(),
  detail: z.string(),
});
export type Attestation = z.infer<typeof attestationSchema>;
