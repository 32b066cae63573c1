/**
 * How bytes are stored: compressed (zstd, when that makes them smaller), then encrypted and authenticated (AES-256-GCM).
 * Layout: 1 byte codec (0 plain, 1 zstd) · 12 bytes nonce · ciphertext · 16 bytes tag. The codec byte and the name under
 * which the bytes are stored are authenticated too, so that no object can stand in for another.
 */
import { createCipheriv, createDecipheriv, createHmac, randomFillSync } from "node:crypto";
import { constants, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { DrError } from "../../errors.ts";
import type { SecretKey } from "./key.ts";

const nonceLength = 12;
const tagLength = 16;
const headLength = 1 + nonceLength;

/** Level 1: measured on shard files, level 3 is as fast and no smaller; level 1 costs less memory. */
const level = { [constants.ZSTD_c_compressionLevel]: 1 };

/** What opens to no more comes in one piece. */
const largestInOnePiece = 512 * 1024;
const outputAtOnce = 64 * 1024;

/** What frames are sealed under: the names of their chunks are checked when they are open. */
export const nameOfFrames = "frame";

/** What a chunk list is sealed under, so that no other content of the same bytes can stand in for it. */
export function nameOfList(name: string): string {
  return `list ${name}`;
}

/** The keyed name of a content: equal for equal bytes under one key, and tells nothing without it. */
export function nameOf(key: SecretKey, bytes: Uint8Array): string {
  return createHmac("sha256", key.naming).update(bytes).digest("hex");
}

/** The most bytes that sealing `size` bytes yields. */
export function sealedAtMost(size: number): number {
  return headLength + size + tagLength;
}

export function seal(key: SecretKey, name: string, plain: Uint8Array): Buffer {
  const place = Buffer.allocUnsafe(sealedAtMost(plain.length));
  return place.subarray(0, sealInto(place, key, name, plain));
}

/** Seals into `place`, which has room for `sealedAtMost` bytes; answers how many it took. */
export function sealInto(place: Buffer, key: SecretKey, name: string, plain: Uint8Array): number {
  const packed = zstdCompressSync(plain, { params: level, chunkSize: inOnePiece(plain.length) });
  const isSmaller = packed.length < plain.length;
  const head = place.subarray(0, headLength);
  head[0] = isSmaller ? 1 : 0;
  randomFillSync(head, 1);
  const cipher = createCipheriv("aes-256-gcm", key.data, head.subarray(1));
  cipher.setAAD(authenticated(head, name));
  const body = cipher.update(isSmaller ? packed : plain);
  cipher.final();
  const { length } = body;
  place.set(body, headLength);
  place.set(cipher.getAuthTag(), headLength + length);
  freeAtOnce(packed);
  freeAtOnce(body);
  return headLength + length + tagLength;
}

/** Not `Buffer.poolSize`: from Node 26 on the pool is a little larger than that. */
const poolBytes = Buffer.from("in the pool").buffer.byteLength;

/**
 * Gives large memory back before the garbage collector comes to it, which costs a fifth of a sealing thread otherwise. To be called by
 * its only owner: it is empty afterwards.
 */
export function freeAtOnce({ buffer }: Uint8Array): void {
  // What is no larger than Node's pool may be the pool, which others use too.
  if (buffer instanceof ArrayBuffer && buffer.byteLength > poolBytes) buffer.transfer(0);
}

/**
 * @param plainSize upper bound of the opened bytes, so that forged input cannot exhaust memory.
 * @throws OBJECT_CORRUPT when the bytes are not what was sealed under this key and name.
 */
export function unseal(key: SecretKey, name: string, sealed: Uint8Array, plainSize: number): Buffer {
  const bytes = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength);
  try {
    const head = bytes.subarray(0, headLength);
    const decipher = createDecipheriv("aes-256-gcm", key.data, head.subarray(1), { authTagLength: tagLength });
    decipher.setAAD(authenticated(head, name));
    decipher.setAuthTag(bytes.subarray(-tagLength));
    const body = decipher.update(bytes.subarray(headLength, -tagLength));
    decipher.final();
    if (head[0] !== 1) return body;
    const plain = zstdDecompressSync(body, {
      maxOutputLength: plainSize,
      chunkSize: plainSize > largestInOnePiece ? outputAtOnce : inOnePiece(plainSize),
    });
    freeAtOnce(body);
    return plain;
  } catch (cause) {
    throw new DrError("OBJECT_CORRUPT", `${name} does not open with key ${key.id}: changed, cut or of another key`, {
      hint: "verify the recovery point in the other region's bucket, and capture a full one",
      cause,
    });
  }
}

/**
 * Room for output in one piece: by default it comes in small ones that are put together. It is never quite full, also of what zstd makes
 * larger: a second room of the size would be made otherwise, for nothing.
 */
function inOnePiece(size: number): number {
  return size + (size >> 8) + 128;
}

function authenticated(head: Buffer, name: string): Buffer {
  return Buffer.concat([head.subarray(0, 1), Buffer.from(name)]);
}
