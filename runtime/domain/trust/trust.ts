/** Who is believed: the public keys that are pinned with a pair of regions, and what each may say. */
import { z } from "zod";
import { jobs } from "../job-names.ts";
import { nameSchema } from "../settings/primitives.ts";
import { publicKeySchema } from "./signing-key.ts";

/** After it was stolen or lost, a key counts for what it had said until then. */
const revokedSchema = z.strictObject({
  epoch: z.number().int().nonnegative().describe("the last epoch that it may have signed"),
  at: z.iso.datetime().describe("what names a later time is not believed"),
});

export const trustedKeySchema = z.strictObject({
  name: nameSchema.describe("whose key it is, for messages"),
  key: publicKeySchema.describe("the public key, as `qdrant-dr keys new` shows it"),
  /** A job's key counts only for what that job creates, in the region where it works. An operator's has none, and counts for everything. */
  job: z.enum(jobs).optional(),
  region: nameSchema.optional(),
  revoked: revokedSchema.optional().describe("since when it is not believed any more"),
});
export type TrustedKey = z.infer<typeof trustedKeySchema>;

export const trustIdSchema = z
  .string()
  .regex(/^[0-9a-z][0-9a-z-]{7,63}$/, "8 to 64 lower-case letters, digits and hyphens, made once for the pair");

export const trustSchema = z.object({
  /** Of the pair of regions: what is signed for one pair means nothing to another. */
  id: trustIdSchema,
  keys: z.array(trustedKeySchema).min(1),
});
export type Trust = z.infer<typeof trustSchema>;

/** Both, each key once. A key that one of them knows as revoked is revoked. */
export function joinTrust(own: Trust, other: Trust | undefined): Trust {
  const keys = new Map<string, TrustedKey>();
  for (const trusted of [...own.keys, ...(other?.keys ?? [])]) {
    const known = keys.get(trusted.key);
    if (known === undefined || (known.revoked === undefined && trusted.revoked !== undefined)) {
      keys.set(trusted.key, trusted);
    }
  }
  return { id: own.id, keys: [...keys.values()] };
}
