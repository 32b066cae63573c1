/**
 * Where the bytes of a captured file are. A file is cut into chunks at fixed offsets; the places of its chunks are in
 * chunk lists, each of which covers a stretch of the file and is stored like a chunk. A change therefore rewrites the
 * lists of the stretches it touches, and no list is ever large.
 */
import { z } from "zod";

/** Bytes of a file in one chunk. Fixed offsets, because Qdrant changes files in place or writes new ones. */
export const chunkSize = 64 * 1024;

/** Chunks that one list covers. */
const chunksPerList = 1024;

/** The most bytes a chunk list may open to: every entry a piece of a pack and key of its own. */
export const largestChunkList = 512 * 1024;

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

/** In file order: a piece is one chunk; a number is that many chunks of zeros. The last chunk of a file may be short. */
const chunkListSchema = z.array(z.union([z.number().int().positive(), pieceSchema]));
export type ChunkList = z.infer<typeof chunkListSchema>;

export const packSchema = z.object({ id: id64, size: z.number().int().positive() });
export type Pack = z.infer<typeof packSchema>;

/** What every tree names, whatever else is in it. */
export const treePacksSchema = z.object({ packs: z.array(packSchema) });

export const storedContentSchema = z.object({
  size: z.number().int().nonnegative(),
  /** One for every `chunksPerList` chunks of the file, in order; null where there is nothing but zeros. */
  lists: z.array(pieceSchema.nullable()),
  /** The packs that its lists and chunks are in, as positions in the tree's `packs`. */
  packs: z.array(z.number().int().nonnegative()),
});
export type StoredContent = z.infer<typeof storedContentSchema>;

export function listsOf(size: number): number {
  return Math.ceil(size / (chunkSize * chunksPerList));
}

/** Chunks that the list at `position` of a file of `size` bytes covers. */
export function chunksInList(size: number, position: number): number {
  return Math.min(chunksPerList, Math.ceil(size / chunkSize) - position * chunksPerList);
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

/** How many chunks a list covers. */
export function chunksListed(list: ChunkList): number {
  return list.reduce<number>((sum, entry) => sum + (typeof entry === "number" ? entry : 1), 0);
}
