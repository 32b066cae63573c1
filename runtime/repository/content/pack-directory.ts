/**
 * The directory of a pack says what it holds: a capture that was cut off leaves packs that no tree names, and the next one
 * finds its pieces there instead of storing them again.
 *
 * It holds 48 bytes for each chunk or list: name, offset and length in the pack, bytes that it opens to, start of the chunk in
 * that (all ones for a list).
 */
import { storeLayout } from "../../domain/recovery-points/store-layout.ts";
import { largestFrame, type Pack, type Piece, type StoredChunk } from "../../domain/recovery-points/stored-content.ts";
import { hasCode } from "../../errors.ts";
import { getWhole } from "../record.ts";
import type { OpenRepository } from "../repository.ts";
import { readEnd } from "./pack-end.ts";

/** Sealed bytes in a pack, and what is in them. */
export interface PackedPiece {
  readonly offset: number;
  readonly length: number;
  /** Bytes that it opens to. */
  readonly size: number;
  readonly names: readonly { readonly name: string; readonly start: number | "list" }[];
}

const entrySize = 48;
const nameSize = 32;
const listMark = 0xffffffff;

export function directoryOf(pieces: readonly PackedPiece[]): Buffer {
  const entries = pieces.flatMap(({ names, ...place }) => names.map((each) => ({ ...place, ...each })));
  const plain = Buffer.alloc(entries.length * entrySize);
  for (const [position, { length, name, offset, size, start }] of entries.entries()) {
    const at = position * entrySize;
    plain.write(name, at, "hex");
    for (const [field, value] of [offset, length, size, start === "list" ? listMark : start].entries()) {
      plain.writeUInt32BE(value, at + nameSize + 4 * field);
    }
  }
  return plain;
}

export interface PackContent {
  readonly chunks: readonly StoredChunk[];
  readonly lists: readonly Piece[];
}

const nothing: PackContent = { chunks: [], lists: [] };

/**
 * What a pack holds, which is read whole: nothing unless its bytes are those that its name and its directory say. Whoever may create
 * objects could put a true directory behind other bytes.
 */
export async function readDirectory(repository: OpenRepository, { id }: Pick<Pack, "id">): Promise<PackContent> {
  const end = readEnd(await getWhole(repository.stores.repository, storeLayout.pack(id)));
  if (end?.id !== id) return nothing;
  try {
    const key = await repository.keys.key(end.keyId);
    return contentIn(end.directory(key, repository.description.id), id, end.keyId);
  } catch (error) {
    if (error instanceof RangeError || hasCode(error, "OBJECT_CORRUPT", "OBJECT_NOT_FOUND", "KEY_UNAVAILABLE"))
      return nothing;
    throw error;
  }
}

function contentIn(plain: Buffer, pack: string, key: string): PackContent {
  const chunks: StoredChunk[] = [];
  const lists: Piece[] = [];
  for (let at = 0; at < plain.length; at += entrySize) {
    const name = plain.toString("hex", at, at + nameSize);
    const number = (field: number) => plain.readUInt32BE(at + nameSize + 4 * field);
    const [offset, length, size, start] = [number(0), number(1), number(2), number(3)];
    const frame = { pack, offset, length, key, size };
    if (start === listMark) lists.push({ name, pack, offset, length, key });
    else if (size <= largestFrame && start < size) chunks.push({ name, frame, start });
  }
  return { chunks, lists };
}
