/** Keys that make stored objects unreadable and their names meaningless to whoever lacks them. */
import { randomBytes } from "node:crypto";
import { z } from "zod";

const keySchema = z.object({
  id: z.string().regex(/^[0-9a-f]{32}$/),
  /** What it protects: one collection's or folder's chunks and trees, or the repository's manifests. */
  purpose: z.union([z.object({ collection: z.string() }), z.object({ folder: z.string() }), z.literal("repository")]),
  /** AES-256-GCM key, base64. */
  data: z.base64(),
  /** HMAC-SHA-256 key for names, base64. */
  naming: z.base64(),
});

export interface DataKey {
  readonly id: string;
  readonly purpose: { readonly collection: string } | { readonly folder: string } | "repository";
  readonly data: Buffer;
  readonly naming: Buffer;
}

export function newKey(purpose: DataKey["purpose"]): DataKey {
  return { id: randomBytes(16).toString("hex"), purpose, data: randomBytes(32), naming: randomBytes(32) };
}

export function serialiseKey(key: DataKey): string {
  return JSON.stringify({ ...key, data: key.data.toString("base64"), naming: key.naming.toString("base64") });
}

export function parseKey(text: string): DataKey {
  const { id, purpose, data, naming } = keySchema.parse(JSON.parse(text));
  return { id, purpose, data: Buffer.from(data, "base64"), naming: Buffer.from(naming, "base64") };
}
