/**
 * The last bytes of every pack say which pieces it holds: a capture that was cut off leaves packs that no tree names, and
 * the next one finds its pieces there instead of storing them again.
 *
 * Layout: pieces · sealed directory · 32 bytes key id · 4 bytes length of the sealed directory (big endian). The directory
 * holds 40 bytes for each piece: name, offset, length.
 */
import type { DataKey } from "../../domain/recovery-points/key.ts";
import { seal, unseal } from "../../domain/recovery-points/sealing.ts";
import { storeLayout } from "../../domain/recovery-points/store-layout.ts";
import type { Pack, Piece } from "../../domain/recovery-points/stored-content.ts";
import { hasCode } from "../../errors.ts";
import type { OpenRepository } from "../repository.ts";

export interface PackedPiece {
  readonly name: string;
  readonly offset: number;
  readonly length: number;
}

const directoryName = "pack directory";
const entrySize = 40;
const nameSize = 32;
const keyIdSize = 32;
const tailSize = keyIdSize + 4;
/** What the directory of some thousand pieces takes at most, sealed and with its tail. */
export const largestDirectory = 256 * 1024;

export function directoryOf(key: DataKey, pieces: readonly PackedPiece[]): Buffer {
  const plain = Buffer.alloc(pieces.length * entrySize);
  for (const [position, { length, name, offset }] of pieces.entries()) {
    const at = position * entrySize;
    plain.write(name, at, "hex");
    plain.writeUInt32BE(offset, at + nameSize);
    plain.writeUInt32BE(length, at + nameSize + 4);
  }
  const sealed = seal(key, directoryName, plain);
  const tail = Buffer.alloc(tailSize);
  tail.write(key.id, 0, "latin1");
  tail.writeUInt32BE(sealed.length, keyIdSize);
  return Buffer.concat([sealed, tail]);
}

/** The pieces of a pack; none when its directory does not open: then nothing of it can be used. */
export async function readDirectory(repository: OpenRepository, pack: Pack): Promise<Piece[]> {
  const readSize = Math.min(pack.size, largestDirectory);
  const place = storeLayout.pack(pack.id);
  const end = await repository.stores.repository.get(place, { offset: pack.size - readSize, length: readSize });
  try {
    const keyId = end.toString("latin1", end.length - tailSize, end.length - 4);
    if (!/^[0-9a-f]{32}$/.test(keyId)) return [];
    const start = end.length - tailSize - end.readUInt32BE(end.length - 4);
    const key = await repository.keys.key(keyId);
    const plain = unseal(key, directoryName, end.subarray(start, end.length - tailSize), largestDirectory);
    return Array.from({ length: plain.length / entrySize }, (_, position) => {
      const at = position * entrySize;
      return {
        name: plain.toString("hex", at, at + nameSize),
        pack: pack.id,
        offset: plain.readUInt32BE(at + nameSize),
        length: plain.readUInt32BE(at + nameSize + 4),
        key: keyId,
      };
    });
  } catch (error) {
    if (error instanceof RangeError || hasCode(error, "OBJECT_CORRUPT", "OBJECT_NOT_FOUND", "KEY_UNAVAILABLE"))
      return [];
    throw error;
  }
}
