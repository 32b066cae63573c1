/**
 * Ed25519 keys as texts. A signing key is a seed of 32 bytes; its public key is pinned where signatures are checked. Each has a prefix
 * of its own, so that neither is taken for the other, or shown in its place.
 */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  hkdfSync,
  type KeyObject,
  randomBytes,
  sign,
  verify,
} from "node:crypto";
import { z } from "zod";

const seedPrefix = "QDRANT-DR-SIGNING-KEY-";
const publicPrefix = "qdrant-dr-key-";
const keyLength = 32;
/** What stands before the 32 bytes in the standard encodings of Ed25519 keys (RFC 8410). */
const seedHead = Buffer.from("302e020100300506032b657004220420", "hex");
const publicHead = Buffer.from("302a300506032b6570032100", "hex");

export const signingKeySchema = z
  .string()
  .refine((text) => bytesOf(text, seedPrefix) !== undefined, `a signing key, which begins with ${seedPrefix}`);

export const publicKeySchema = z
  .string()
  .refine((text) => bytesOf(text, publicPrefix) !== undefined, `a public key, which begins with ${publicPrefix}`);

export function newSigningKey(): string {
  return textOf(seedPrefix, randomBytes(keyLength));
}

/** The same secret always gives the same key, which says nothing of the secret. */
export function signingKeyFrom(secret: string): string {
  return textOf(seedPrefix, Buffer.from(hkdfSync("sha256", secret, "", "qdrant-dr signing key", keyLength)));
}

/** The signing key in a text: comments, and a line of its own. */
export function signingKeyIn(text: string): string | undefined {
  return text
    .split("\n")
    .map((line) => line.trim())
    .find((line) => signingKeySchema.safeParse(line).success);
}

export function publicKeyOf(signingKey: string): string {
  const exported = createPublicKey(privateKey(signingKey)).export({ format: "der", type: "spki" });
  return textOf(publicPrefix, exported.subarray(publicHead.length));
}

/** Short name of a public key in signatures. */
export function keyIdOf(publicKey: string): string {
  return createHash("sha256")
    .update(bytesOf(publicKey, publicPrefix) ?? "")
    .digest("hex")
    .slice(0, 32);
}

export function signBytes(signingKey: string, bytes: Uint8Array): Buffer {
  return sign(null, bytes, privateKey(signingKey));
}

export function hasSigned(publicKey: string, bytes: Uint8Array, signature: Uint8Array): boolean {
  const raw = bytesOf(publicKey, publicPrefix);
  if (raw === undefined) return false;
  const key = createPublicKey({ key: Buffer.concat([publicHead, raw]), format: "der", type: "spki" });
  return verify(null, bytes, key, signature);
}

function privateKey(signingKey: string): KeyObject {
  const seed = bytesOf(signingKey, seedPrefix);
  // Never with the text: it is a secret.
  if (seed === undefined) throw new Error("what is to sign is no signing key");
  return createPrivateKey({ key: Buffer.concat([seedHead, seed]), format: "der", type: "pkcs8" });
}

function textOf(prefix: string, bytes: Uint8Array): string {
  return prefix + Buffer.from(bytes).toString("base64url");
}

/** Undefined for a text that is cut, too long, or not as it would be written. */
function bytesOf(text: string, prefix: string): Buffer | undefined {
  if (!text.startsWith(prefix)) return undefined;
  const bytes = Buffer.from(text.slice(prefix.length), "base64url");
  return bytes.length === keyLength && textOf(prefix, bytes) === text ? bytes : undefined;
}
