/** What a pair of stacks believes at first: the operator who writes the first epoch. */
import { createHmac } from "node:crypto";
import type { Foundation } from "../settings/foundation.ts";
import { publicKeyOf } from "./signing-key.ts";
import type { Trust } from "./trust.ts";

/**
 * The pair is told from others by where its records are and by who begins it: the same however often that operator asks, and no one
 * else can guess it, who would know from it where records go that stand behind forged ones.
 */
export function firstTrust({ regions, trust }: Foundation, signingKey: string): Trust {
  if (trust !== undefined) return trust;
  const places = Object.values(regions)
    .map(({ stores: { control } }) => [control.endpoint ?? "", control.region, control.bucket])
    .sort();
  const id = createHmac("sha256", signingKey).update(JSON.stringify(places)).digest("hex").slice(0, 32);
  return { id, keys: [{ name: "operator", key: publicKeyOf(signingKey) }] };
}
