/**
 * Data keys are wrapped as age files (C2SP age-encryption.org/v1), for the operational recipient and for the offline
 * recovery recipient at once: losing one of the two loses nothing, and any age tool can open them.
 */
import { createHash } from "node:crypto";
import { Decrypter, Encrypter } from "age-encryption";
import { identitiesIn } from "../domain/age-identity.ts";
import { DrError } from "../errors.ts";
import type { KeyWrap } from "../ports/key-wrap.ts";

export class AgeKeyWrap implements KeyWrap {
  readonly holders: string;
  readonly #recipients: readonly string[];
  readonly #identities: readonly string[];

  /** @param keys without an identity: new data keys can be wrapped, and none opened. It may be several, a line each. */
  constructor(keys: { readonly recipients: readonly string[]; readonly identity: string | undefined }) {
    this.#recipients = keys.recipients;
    this.#identities = identitiesIn(keys.identity ?? "");
    const named = [...keys.recipients].sort().join("\n");
    this.holders = createHash("sha256").update(named).digest("hex").slice(0, 32);
  }

  async wrap(secret: string): Promise<Uint8Array> {
    const encrypter = new Encrypter();
    for (const recipient of this.#recipients) encrypter.addRecipient(recipient);
    return encrypter.encrypt(secret);
  }

  async unwrap(wrapped: Uint8Array): Promise<string> {
    if (this.#identities.length === 0) {
      throw new DrError(
        "KEY_UNAVAILABLE",
        "no age identity is known here, and a key of the repository is to be opened",
        {
          hint: "give the region's outputs as its stack has them, or the offline recovery identity (`--identity-file`)",
        },
      );
    }
    const decrypter = new Decrypter();
    try {
      for (const identity of this.#identities) decrypter.addIdentity(identity);
      return await decrypter.decrypt(wrapped, "text");
    } catch (cause) {
      throw new DrError("KEY_UNAVAILABLE", "this region's identity does not open a key of the repository", {
        hint: "use the identity the repository was made for, or the offline recovery identity (`--identity-file`)",
        cause,
      });
    }
  }
}
