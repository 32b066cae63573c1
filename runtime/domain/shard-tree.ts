/**
 * A shard as captured: its files and where their chunks are. Trees are named by their content, so a shard that did not
 * change costs a point nothing but its name. A file's chunk list is stored beside the chunks, so that a changed file
 * does not rewrite the lists of the others.
 */
import { z } from "zod";
import { segmentManifestSchema } from "./segment-manifest.ts";

/** Bytes of a file in one chunk. Fixed offsets, because Qdrant changes files in place or writes new ones. */
export const chunkSize = 64 * 1024;

/** The most bytes a tree or a chunk list may open to. */
export const largestTree = 256 * 1024 * 1024;

const id64 = z.string().regex(/^[0-9a-f]{64}$/);
const keyId = z.string().regex(/^[0-9a-f]{32}$/);

/** Where sealed bytes are: in `pack`, `length` bytes from `offset`, under `key`; opened they are named `name`. */
const pieceSchema = z.object({
  name: id64,
  pack: id64,
  offset: z.number().int().nonnegative(),
  length: z.number().int().positive(),
  key: keyId,
});
export type Piece = z.infer<typeof pieceSchema>;

/** In file order: a piece is one chunk; a number is that many chunks of zeros. The last chunk may be short. */
const chunkListSchema = z.array(z.union([z.number().int().positive(), pieceSchema]));
export type ChunkList = z.infer<typeof chunkListSchema>;

const treeFileSchema = z.object({
  path: z.string(),
  size: z.number().int().nonnegative(),
  /** Absent for a file of zeros only. */
  chunks: pieceSchema.optional(),
});
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
  packs: z.array(z.object({ id: id64, size: z.number().int().positive() })),
});
export type ShardTree = z.infer<typeof shardTreeSchema>;

export interface LineageParts {
  readonly region: string;
  readonly epoch: number;
  readonly peer: number;
  /** Id of the newest restore into this region, if there was one: a restore makes the counters another server's. */
  readonly restore: string | undefined;
}

export function lineageOf(parts: LineageParts): string {
  return [parts.region, parts.epoch, parts.peer, parts.restore ?? "none"].join("/");
}

/** Chunk lists are stored compactly: the packs once, the pieces as tuples. */
const compactListSchema = z.object({
  packs: z.array(id64),
  keys: z.array(keyId),
  chunks: z.array(z.union([z.number(), z.tuple([id64, z.number(), z.number(), z.number(), z.number()])])),
});

export function serialiseChunkList(list: ChunkList): string {
  const packs: string[] = [];
  const keys: string[] = [];
  const indexIn = (table: string[], value: string) => {
    const known = table.lastIndexOf(value);
    return known >= 0 ? known : table.push(value) - 1;
  };
  const chunks = list.map((entry) =>
    typeof entry === "number"
      ? entry
      : [entry.name, indexIn(packs, entry.pack), entry.offset, entry.length, indexIn(keys, entry.key)],
  );
  return JSON.stringify({ packs, keys, chunks });
}

export function parseChunkList(json: string): ChunkList {
  const { packs, keys, chunks } = compactListSchema.parse(JSON.parse(json));
  return chunkListSchema.parse(
    chunks.map((entry) => {
      if (typeof entry === "number") return entry;
      const [name, pack, offset, length, key] = entry;
      return { name, pack: packs[pack], offset, length, key: keys[key] };
    }),
  );
}
