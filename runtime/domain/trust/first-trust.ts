/** What a pair of stacks believes at first: the operator who writes the first epoch. */
import { createHash } from "node:crypto";
import type { Foundation } from "../settings/foundation.ts";
import { publicKeyOf } from "./signing-key.ts";
import type { Trust } from "./trust.ts";

/** The pair is told from others by where its records are: the same however often it is asked. */
export function firstTrust({ regions, trust }: Foundation, signingKey: string): Trust {
  if (trust !== undefined) return trust;
  const places = Object.values(regions)
    .map(({ stores: { control } }) => [control.endpoint ?? "", control.region, control.bucket])
    .sort();
  const id = createHash("sha256").update(JSON.stringify(places)).digest("hex").slice(0, 32);
  return { id, keys: [{ name: "operator", key: publicKeyOf(signingKey) }] };
}
