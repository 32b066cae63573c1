/**
 * A shard as captured: its files and where their contents are. Trees are named by their content, so a shard that did not
 * change costs a recovery point nothing but its name.
 */
import { z } from "zod";
import { segmentManifestSchema } from "../qdrant/segment-manifest.ts";
import { innerPathSchema } from "./inner-path.ts";
import { packSchema, storedContentSchema } from "./stored-content.ts";

/** The most bytes a tree may open to. */
export const largestTree = 256 * 1024 * 1024;

const treeFileSchema = storedContentSchema.extend({ path: innerPathSchema });
export type TreeFile = z.infer<typeof treeFileSchema>;

export const shardTreeSchema = z.object({
  format: z.literal(1),
  collection: z.string(),
  shard: z.number().int().nonnegative(),
  /** Captures compare by version only within one lineage; see `lineageOf`. */
  lineage: z.string(),
  segments: segmentManifestSchema,
  files: z.array(treeFileSchema),
  /** Every pack that any chunk or chunk list of this tree is in. */
  packs: z.array(packSchema),
});
export type ShardTree = z.infer<typeof shardTreeSchema>;

export interface LineageParts {
  readonly region: string;
  readonly epoch: number;
  readonly peer: number;
  /** What the peer says of its own past: it changes when the peer is restarted or something is restored into it. */
  readonly fingerprint: string;
  /** Id of the newest restore into this region, if there was one: a restore makes the counters another server's. */
  readonly restore: string | undefined;
}

export function lineageOf(parts: LineageParts): string {
  return [parts.region, parts.epoch, parts.peer, parts.fingerprint, parts.restore ?? "none"].join("/");
}
