/** The manifest of a recovery point: small, written last, create-only, never edited. */
import { z } from "zod";
import { journalPositionSchema } from "../journal/position.ts";
import { type CollectionFacts, namedFactsSchema, nameOrNumberSchema } from "./collection-facts.ts";
import { folderNameSchema } from "./folder-name.ts";

const count = z.number().int().nonnegative();
const time = z.iso.datetime();

/** The kinds of data that a recovery point can hold. */
export const dataKinds = ["qdrant", "config", "user-data", "infrastructure"] as const;
export type DataKind = (typeof dataKinds)[number];

const treeSchema = z.object({ id: z.string(), size: count });

export const capturedShardSchema = z.object({
  id: count,
  /** Custom sharding: the key this shard belongs to. */
  key: nameOrNumberSchema.optional(),
  /** The peer whose replica was read. */
  peer: count,
  tree: treeSchema,
  startedAt: time,
  finishedAt: time,
  /** A collection snapshot carries the write-ahead log: it is exact also while an optimization runs. */
  method: z.enum(["partial-snapshot", "collection-snapshot"]),
  /** False when an optimization ran in the shard meanwhile: acknowledged deletes may be back. */
  isExact: z.boolean(),
});
export type CapturedShard = z.infer<typeof capturedShardSchema>;

const collectionSchema = namedFactsSchema.extend({
  shards: z.array(capturedShardSchema),
  /** Exact count after the capture. */
  pointsAfter: count,
  /** Nothing was written between the capture and what was counted and asked afterwards: those answers are of what was captured. */
  isUndisturbed: z.literal(true).optional(),
});
export type CapturedCollection = z.infer<typeof collectionSchema>;

/** A captured collection together with its facts, as they still hold. */
export type CollectionWithFacts = CapturedCollection & CollectionFacts;

/** A folder of configuration or user data, or documents that describe infrastructure. */
export const capturedFolderSchema = z.object({
  kind: z.enum(dataKinds).exclude(["qdrant"]),
  name: folderNameSchema,
  /** The key its chunks and tree are sealed with. */
  key: z.string(),
  tree: treeSchema,
  startedAt: time,
  finishedAt: time,
  /** False when a file changed each time it was read. */
  isExact: z.boolean(),
});
export type CapturedFolder = z.infer<typeof capturedFolderSchema>;

/** What a capture was to read and could not. The rest is captured all the same. */
export const missingSchema = z.object({
  kind: z.enum(dataKinds),
  /** Of the collection, or of the folder. */
  name: z.string(),
  /** The entry of the folder that could not be read; all of it when left out. */
  path: z.string().optional(),
  /** Code and message of the error, and what to do about it. */
  code: z.string(),
  because: z.string(),
  hint: z.string().optional(),
  /** The recovery point holds it as it was captured then; not at all when left out. */
  heldAsOf: time.optional(),
});
export type Missing = z.infer<typeof missingSchema>;

/**
 * A plain Qdrant snapshot of a collection, or of a peer's part of it, that was restored to be captured: the collection is as old as its
 * snapshots, which say nothing of that.
 */
const importedSchema = z.object({
  collection: z.string(),
  /** The name of the file. */
  file: z.string(),
  bytes: count,
  sha256: z.string(),
});
export type ImportedSnapshot = z.infer<typeof importedSchema>;

export const captureTypes = ["full", "incremental"] as const;
export type CaptureType = (typeof captureTypes)[number];

export const recoveryPointSchema = z.object({
  format: z.literal(1),
  id: z.string(),
  type: z.enum(captureTypes),
  /** What was captured; what is not named here is not in the recovery point. */
  kinds: z.array(z.enum(dataKinds)).min(1),
  /** The recovery point whose trees were the base; every recovery point restores without it. */
  base: z.string().optional(),
  region: z.string(),
  epoch: count,
  /** When the capture began. */
  startedAt: time,
  /** The time the recovery point stands for: everything acknowledged before it is in it. */
  time: time,
  finishedAt: time,
  /** Absent when the recovery point holds nothing of Qdrant. */
  qdrantVersion: z.string().optional(),
  toolVersion: z.string(),
  collections: z.array(collectionSchema),
  aliases: z.array(z.object({ alias: z.string(), collection: z.string() })),
  folders: z.array(capturedFolderSchema),
  /** What the capture could not read; absent when it read all that it was to read. */
  missing: z.array(missingSchema).optional(),
  /** Collections that were there and left out on purpose. */
  excluded: z.array(z.string()).optional(),
  /** From where the region's journal, which is kept beside it, has to be applied to it: then it is exact, whatever ran during the capture. */
  journal: journalPositionSchema.optional(),
  /** Made of plain snapshots, not of the region: never the newest state of it, and never a base. */
  imported: z.array(importedSchema).optional(),
});
export type RecoveryPoint = z.infer<typeof recoveryPointSchema>;

/** A recovery point calls itself exact only when it holds every shard and folder that it should, and each is known to be exact. */
export function isExact(recoveryPoint: RecoveryPoint): boolean {
  const holdsAll = (recoveryPoint.missing ?? []).every(({ heldAsOf }) => heldAsOf !== undefined);
  return holdsAll && capturesOf(recoveryPoint).every((capture) => capture.isExact);
}

/** Everything that was acknowledged to the collection before this is in the recovery point. */
export function capturedAt({ shards }: Pick<CapturedCollection, "shards">): Date | undefined {
  const starts = shards.map(({ startedAt }) => Date.parse(startedAt));
  return starts.length === 0 ? undefined : new Date(Math.min(...starts));
}

/** Everything in a recovery point that has a tree. */
export function capturesOf({ collections, folders }: RecoveryPoint): (CapturedShard | CapturedFolder)[] {
  return [...collections.flatMap(({ shards }) => shards), ...folders];
}

/** The keys that a recovery point's chunks and trees are sealed with. */
export function keysOf({ collections, folders }: RecoveryPoint): string[] {
  return [...new Set([...collections, ...folders].map(({ key }) => key))];
}

export const repositorySchema = z.object({
  format: z.literal(1),
  id: z.string(),
  /** The key that seals the manifests. */
  key: z.string(),
});
export type Repository = z.infer<typeof repositorySchema>;

/**
 * `folders-quarantined`: what it holds beside Qdrant is damaged; Qdrant's part was read whole. `doubted`: a capture says so of an incremental
 * one, whose history it found to be wrong, or of what a prune overtook while it was made. `released`: an operator lifts what was said against it until
 * then. `healed`: what was damaged was replaced, and all of it was read since. `restored`: a Qdrant held it, was compared and asked.
 */
const attestationKinds = [
  "verified",
  "quarantined",
  "folders-quarantined",
  "doubted",
  "released",
  "healed",
  "restored",
] as const;

/** A later finding about a recovery point, kept beside it. */
export const attestationSchema = z.object({
  recoveryPoint: z.string(),
  /** Digest of the manifest that it is about; absent when that could not be read. */
  manifest: z.string().optional(),
  kind: z.enum(attestationKinds),
  at: time,
  region: z.string(),
  detail: z.string(),
  /** Of a quarantine: keys of what is damaged. One without is for another reason, and no healing ends it. */
  damaged: z.array(z.string()).optional(),
});
export type Attestation = z.infer<typeof attestationSchema>;
