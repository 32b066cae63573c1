/**
 * The key of last resort: it follows from the offline recovery identity, so that people keep one secret offline. It signs as an
 * operator where its public key is pinned.
 */
import { publicKeyOf, signingKeyFrom } from "./signing-key.ts";
import type { Trust } from "./trust.ts";

/** Undefined when that identity signs nothing here. */
export function breakGlassKey(trust: Trust, identity: string | undefined): string | undefined {
  if (identity === undefined) return undefined;
  const key = signingKeyFrom(identity);
  const publicKey = publicKeyOf(key);
  return trust.keys.some((trusted) => trusted.key === publicKey) ? key : undefined;
}
