/**
 * What the journal tells: what a write left in Qdrant, never what was asked, because the same request leaves other points on another
 * server. Every entry can be applied twice, and in the place of what it tells already: it says how things are afterwards.
 */
import { z } from "zod";
import { exactRecord, exactValue } from "../exact-schemas.ts";
import type { PointId } from "./point-id.ts";

const common = { at: z.iso.datetime() };
const ofCollection = {
  ...common,
  /** Never an alias: that may point elsewhere when it is read. */
  collection: z.string(),
};
/** As JSON, as Qdrant takes it: `"a"` or `7`. */
const shardKey = z.string().min(1);

/** What stands before the points of an entry. */
const pointsHeadSchema = z.strictObject({
  kind: z.literal("points"),
  ...ofCollection,
  shardKey: shardKey.optional(),
  /** Each is of all that a point has: an upsert alone makes it so. Otherwise its id is deleted first. */
  isComplete: z.boolean(),
  points: z.number().int().nonnegative(),
});

const collectionSchema = z.strictObject({
  kind: z.literal("collection"),
  ...ofCollection,
  /** Its configuration as Qdrant tells it: `config` of `GET /collections/…`. */
  config: exactValue,
  /** Each indexed field as making its index takes it; all others have none. */
  indexes: exactRecord,
});

const collectionDeletedSchema = z.strictObject({ kind: z.literal("collection-deleted"), ...ofCollection });

const aliasesSchema = z.strictObject({
  kind: z.literal("aliases"),
  ...common,
  /** All that there are. */
  aliases: z.array(z.strictObject({ alias: z.string(), collection: z.string() })),
});

const shardKeySchema = z.strictObject({
  kind: z.literal("shard-key"),
  ...ofCollection,
  shardKey,
  isThere: z.boolean(),
});

/** From here on the journal says nothing of the collection, until a capture brings it. */
const unreconciledSchema = z.strictObject({
  kind: z.literal("unreconciled"),
  ...common,
  /** Absent: every collection. */
  collection: z.string().optional(),
  /** For people. */
  reason: z.string(),
});

export const headSchema = z.discriminatedUnion("kind", [
  pointsHeadSchema,
  collectionSchema,
  collectionDeletedSchema,
  aliasesSchema,
  shardKeySchema,
  unreconciledSchema,
]);
export type EntryHead = z.infer<typeof headSchema>;

/** These ids now are these points; an id that is not among the points is no point any more. */
export interface PointsEntry extends Omit<z.infer<typeof pointsHeadSchema>, "points"> {
  readonly ids: readonly PointId[];
  /** Each as JSON, in one line, as Qdrant takes it in an upsert: its numbers are as they were written. */
  readonly points: readonly string[];
}

export type JournalEntry = PointsEntry | Exclude<EntryHead, { readonly kind: "points" }>;
