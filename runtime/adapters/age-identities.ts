import { generateX25519Identity, identityToRecipient } from "age-encryption";
import { DrError } from "../errors.ts";
import type { Identities } from "../ports/identities.ts";

export const ageIdentities: Identities = {
  make: generateX25519Identity,
  async recipientOf(identity) {
    try {
      return await identityToRecipient(identity);
    } catch {
      // The library's words may repeat the identity.
      throw new DrError("SETTING_INVALID", "what begins with AGE-SECRET-KEY- is no age identity", {
        hint: "give the line as `age-keygen` or `qdrant-dr init` wrote it",
      });
    }
  },
};
