/**
 * The last bytes of every pack say what it holds: a capture that was cut off leaves packs that no tree names, and the next one
 * finds its pieces there instead of storing them again.
 *
 * Layout: frames or chunk lists · sealed directory · 32 bytes key id · 4 bytes length of the sealed directory (big endian). The
 * directory holds 48 bytes for each chunk or list: name, offset and length in the pack, bytes that it opens to, start of the chunk in
 * that (all ones for a list).
 */
import type { DataKey } from "../../domain/recovery-points/key.ts";
import { seal, unseal } from "../../domain/recovery-points/sealing.ts";
import { storeLayout } from "../../domain/recovery-points/store-layout.ts";
import { largestFrame, type Pack, type Piece, type StoredChunk } from "../../domain/recovery-points/stored-content.ts";
import { hasCode } from "../../errors.ts";
import type { OpenRepository } from "../repository.ts";

/** Sealed bytes in a pack, and what is in them. */
export interface PackedPiece {
  readonly offset: number;
  readonly length: number;
  /** Bytes that it opens to. */
  readonly size: number;
  readonly names: readonly { readonly name: string; readonly start: number | "list" }[];
}

const directoryName = "pack directory";
const entrySize = 48;
const nameSize = 32;
const keyIdSize = 32;
const tailSize = keyIdSize + 4;
const listMark = 0xffffffff;
/** What the directory of some thousand pieces takes at most, sealed and with its tail. */
export const largestDirectory = 256 * 1024;

export function directoryOf(key: DataKey, pieces: readonly PackedPiece[]): Buffer {
  const entries = pieces.flatMap(({ names, ...place }) => names.map((each) => ({ ...place, ...each })));
  const plain = Buffer.alloc(entries.length * entrySize);
  for (const [position, { length, name, offset, size, start }] of entries.entries()) {
    const at = position * entrySize;
    plain.write(name, at, "hex");
    for (const [field, value] of [offset, length, size, start === "list" ? listMark : start].entries()) {
      plain.writeUInt32BE(value, at + nameSize + 4 * field);
    }
  }
  const sealed = seal(key, directoryName, plain);
  const tail = Buffer.alloc(tailSize);
  tail.write(key.id, 0, "latin1");
  tail.writeUInt32BE(sealed.length, keyIdSize);
  return Buffer.concat([sealed, tail]);
}

export interface PackContent {
  readonly chunks: readonly StoredChunk[];
  readonly lists: readonly Piece[];
}

const nothing: PackContent = { chunks: [], lists: [] };

/** What a pack holds; nothing when its directory does not open: then nothing of it can be used. */
export async function readDirectory(repository: OpenRepository, pack: Pack): Promise<PackContent> {
  const readSize = Math.min(pack.size, largestDirectory);
  const place = storeLayout.pack(pack.id);
  const end = await repository.stores.repository.get(place, { offset: pack.size - readSize, length: readSize });
  try {
    const keyId = end.toString("latin1", end.length - tailSize, end.length - 4);
    if (!/^[0-9a-f]{32}$/.test(keyId)) return nothing;
    const start = end.length - tailSize - end.readUInt32BE(end.length - 4);
    const key = await repository.keys.key(keyId);
    const plain = unseal(key, directoryName, end.subarray(start, end.length - tailSize), largestDirectory);
    return contentIn(plain, pack.id, keyId);
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
