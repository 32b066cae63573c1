/**
 * How a pack ends: sealed directory · 32 bytes key id · 4 bytes length of the sealed directory (big endian). The directory is sealed under a
 * name that says of which repository it is and which bytes stand before it: a directory behind other bytes does not open.
 */
import { createHash } from "node:crypto";
import type { SecretKey } from "../../domain/recovery-points/key.ts";
import { seal, unseal } from "../../domain/recovery-points/sealing.ts";

const keyIdSize = 32;
const tailSize = keyIdSize + 4;
/** What the directory of some thousand pieces takes at most, sealed and with its tail. */
export const largestDirectory = 256 * 1024;

export interface PackEnd {
  /** Id of the repository. */
  readonly repository: string;
  /** The directory as it is before it is sealed. */
  readonly directory: Uint8Array;
}

/** Writes the end of a pack behind its first `length` bytes; answers its name, which is the SHA-256 of all, and its size. */
export function endPack(
  place: Buffer,
  length: number,
  key: SecretKey,
  { directory, repository }: PackEnd,
): { readonly id: string; readonly size: number } {
  const hash = createHash("sha256").update(place.subarray(0, length));
  const sealed = seal(key, nameOf(repository, hash.copy().digest("hex")), directory);
  const tail = Buffer.alloc(tailSize);
  tail.write(key.id, 0, "latin1");
  tail.writeUInt32BE(sealed.length, keyIdSize);
  place.set(sealed, length);
  place.set(tail, length + sealed.length);
  const size = length + sealed.length + tailSize;
  return { id: hash.update(place.subarray(length, size)).digest("hex"), size };
}

export interface OpenedEnd {
  /** Name of the pack by its bytes. */
  readonly id: string;
  readonly keyId: string;
  /** Throws OBJECT_CORRUPT unless it was sealed for this repository and these bytes. */
  directory(key: SecretKey, repository: string): Buffer;
}

/** Undefined when these bytes do not end as a pack does. */
export function readEnd(pack: Buffer): OpenedEnd | undefined {
  if (pack.length < tailSize) return undefined;
  const keyId = pack.toString("latin1", pack.length - tailSize, pack.length - 4);
  const start = pack.length - tailSize - pack.readUInt32BE(pack.length - 4);
  if (!/^[0-9a-f]{32}$/.test(keyId) || start < 0) return undefined;
  const hash = createHash("sha256").update(pack.subarray(0, start));
  const before = hash.copy().digest("hex");
  return {
    id: hash.update(pack.subarray(start)).digest("hex"),
    keyId,
    directory: (key, repository) =>
      unseal(key, nameOf(repository, before), pack.subarray(start, pack.length - tailSize), largestDirectory),
  };
}

function nameOf(repository: string, bytesBefore: string): string {
  return `pack directory ${repository} ${bytesBefore}`;
}
