/** Keys that make stored objects unreadable and their names meaningless to whoever lacks them. */
import { createSecretKey, type KeyObject, randomBytes } from "node:crypto";
import { z } from "zod";

const secretOf32Bytes = z.base64().refine((text) => Buffer.from(text, "base64").length === 32, "32 bytes");

const keySchema = z.object({
  id: z.string().regex(/^[0-9a-f]{32}$/),
  /** What it protects: one collection's or folder's chunks and trees, a term of a region's journal, or the repository's manifests. */
  purpose: z.union([
    z.object({ collection: z.string() }),
    z.object({ folder: z.string() }),
    z.object({ journal: z.string() }),
    z.literal("repository"),
  ]),
  /** The repository's key when it was made; a key of a repository has none. New data keys are made when that is retired. */
  under: z.string().optional(),
  /** Whom it was wrapped for where this stands (`KeyWrap.holders`). */
  holders: z.string().optional(),
  /** AES-256-GCM key, base64. */
  data: secretOf32Bytes,
  /** HMAC-SHA-256 key for names, base64. */
  naming: secretOf32Bytes,
});

export interface DataKey {
  readonly id: string;
  readonly purpose: z.infer<typeof keySchema>["purpose"];
  readonly under?: string | undefined;
  readonly holders?: string | undefined;
  /** As key objects, which are made once: a key in bytes is copied for every chunk. */
  readonly data: KeyObject;
  readonly naming: KeyObject;
}

/** What sealing takes of a key; it can be handed to another thread. */
export type SecretKey = Pick<DataKey, "id" | "data" | "naming">;

export function newKey(purpose: DataKey["purpose"]): DataKey {
  const secret = () => createSecretKey(randomBytes(32));
  return { id: randomBytes(16).toString("hex"), purpose, data: secret(), naming: secret() };
}

export function serialiseKey(key: DataKey): string {
  const inBase64 = (secret: KeyObject) => secret.export().toString("base64");
  return JSON.stringify({ ...key, data: inBase64(key.data), naming: inBase64(key.naming) });
}

export function parseKey(text: string): DataKey {
  const { data, naming, ...rest } = keySchema.parse(JSON.parse(text));
  const secret = (base64: string) => createSecretKey(Buffer.from(base64, "base64"));
  return { ...rest, data: secret(data), naming: secret(naming) };
}

/** Whether they open, and name, the same. */
export function isSameKey(one: DataKey, other: DataKey): boolean {
  return one.id === other.id && one.data.equals(other.data) && one.naming.equals(other.naming);
}
