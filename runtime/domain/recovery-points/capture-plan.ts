/**
 * A capture that several workers share: what one of them planned, and what each of them did. They share nothing but the
 * bucket; the records are sealed like a manifest.
 */
import { z } from "zod";
import { namedFactsSchema, nameOrNumberSchema } from "./collection-facts.ts";
import { folderNameSchema } from "./folder-name.ts";
import { capturedFolderSchema, capturedShardSchema, captureTypes, dataKinds, missingSchema } from "./recovery-point.ts";

/** What a writer knows of the prunes of a repository. Taken before anything of the repository is listed or read. */
export const pruneSightSchema = z.object({
  /** Number of the newest plan; 0 when there is none. */
  newest: z.number().int().nonnegative(),
  /** That plan is not executed to its end. */
  isOpen: z.boolean(),
});
export type PruneSight = z.infer<typeof pruneSightSchema>;

const count = z.number().int().nonnegative();

const plannedShardSchema = z.object({ id: count, key: nameOrNumberSchema.optional() });

export const capturePlanSchema = z.object({
  format: z.literal(1),
  /** Id of the recovery point that it will be. */
  recoveryPoint: z.string(),
  type: z.enum(captureTypes),
  kinds: z.array(z.enum(dataKinds)).min(1),
  workers: z.number().int().positive(),
  /** Before anything was asked or read. */
  at: z.iso.datetime(),
  base: z.string().optional(),
  /** All recovery points that it builds on, that of the Qdrant part among them. Absent in plans of before. */
  bases: z.array(z.string()).optional(),
  /** What was known of prunes when the repository was looked at: the commit looks whether one began since. Absent in plans of before. */
  prunes: pruneSightSchema.optional(),
  region: z.string(),
  epoch: count,
  /** The newest restore into the region; another one meanwhile breaks the capture off. */
  restore: z.string().optional(),
  qdrantVersion: z.string().optional(),
  collections: z.array(namedFactsSchema.extend({ shards: z.array(plannedShardSchema) })),
  /** Collections that are not read: the recovery point holds them as its base does. Absent in plans of before: all that are not planned. */
  carried: z.array(z.string()).optional(),
  /** What turned out not to be readable while it was planned, and what the base lacks and is not read now. */
  missing: z.array(missingSchema).optional(),
  /** Collections that are left out on purpose. */
  excluded: z.array(z.string()).optional(),
  /** Whether the base is of now: what of it cannot be read again may stand as it was. */
  isOfBase: z.boolean().optional(),
  folders: z.array(z.object({ kind: z.enum(dataKinds).exclude(["qdrant"]), name: folderNameSchema })),
});
export type CapturePlan = z.infer<typeof capturePlanSchema>;

/** What a worker found of one shard; `shard` is what the recovery point will say of it. */
const shardResultSchema = z.object({
  collection: z.string(),
  shard: capturedShardSchema,
  /** A digest of the segments as they were captured: with others something was written since. */
  segments: z.string(),
  /** The server said that nothing changed since the base. */
  isUnchanged: z.boolean(),
  /** Files that have the base's version and other bytes. */
  contradictions: z.array(z.string()),
});
export type ShardResult = z.infer<typeof shardResultSchema>;

export const capturePartSchema = z.object({
  format: z.literal(1),
  /** From 0 on. */
  worker: count,
  shards: z.array(shardResultSchema),
  folders: z.array(capturedFolderSchema),
  /** What could not be read. */
  missing: z.array(missingSchema).optional(),
  readBytes: count,
  storedBytes: count,
});
export type CapturePart = z.infer<typeof capturePartSchema>;

/** What of a plan is one worker's: every n-th piece of work, so that all of them together are the whole. */
export function shareOf<Work>(work: readonly Work[], worker: number, workers: number): Work[] {
  return work.filter((_, position) => position % workers === worker);
}
