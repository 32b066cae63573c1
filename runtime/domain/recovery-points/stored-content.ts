/**
 * Where the bytes of a captured file are. A file is cut into chunks at fixed offsets; chunks that were new side by side are
 * sealed together as a frame. The places of a file's chunks are in chunk lists, each of which covers a stretch of the file. A
 * change therefore rewrites the lists of the stretches it touches, and no list is ever large.
 */
import { z } from "zod";

/** Bytes of a file in one chunk. Fixed offsets, because Qdrant changes files in place or writes new ones. */
export const chunkSize = 64 * 1024;

/**
 * The most bytes that a frame opens to. Larger ones are sealed and opened faster; but of a chunk that is left of one, the whole frame is
 * read.
 */
export const largestFrame = 512 * 1024;

/** Chunks that one list covers. */
const chunksPerList = 256;

const id64 = z.string().regex(/^[0-9a-f]{64}$/);
const keyId = z.string().regex(/^[0-9a-f]{32}$/);

/** Sealed bytes: in `pack`, `length` bytes from `offset`, under `key`. */
const placeSchema = z.object({
  pack: id64,
  offset: z.number().int().nonnegative(),
  length: z.number().int().positive(),
  key: keyId,
});

/** What opens to all of what `name` names. */
const pieceSchema = placeSchema.extend({ name: id64 });
export type Piece = z.infer<typeof pieceSchema>;

/** Chunks that were sealed together, one behind the other. */
export interface Frame extends z.infer<typeof placeSchema> {
  /** Bytes that it opens to. */
  readonly size: number;
}

/** A chunk is in its frame, from `start` on; its name says what it is. */
export interface StoredChunk {
  readonly name: string;
  readonly frame: Frame;
  readonly start: number;
}

/** In file order: a number is that many chunks of zeros. The last chunk of a file may be short. */
export type ChunkList = readonly (number | StoredChunk)[];

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

/** How many chunks a list covers. */
export function chunksListed(list: ChunkList): number {
  return list.reduce<number>((sum, entry) => sum + (typeof entry === "number" ? entry : 1), 0);
}
