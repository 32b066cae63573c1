/**
 * How a signed object is stored: one line, and its bytes as they are. The line is `qdrant-dr-signed 1 <id of the key> <signature>`;
 * signed are the store that it is for, its key there, and the bytes.
 */

import { identityOf, type StorePlace, whyNotBelieved } from "./places.ts";
import { hasSigned, keyIdOf, publicKeyOf, signBytes } from "./signing-key.ts";
import type { Trust, TrustedKey } from "./trust.ts";

const head = /^qdrant-dr-signed 1 ([0-9a-f]{32}) ([A-Za-z0-9_-]{86})\n/;
/** No line of this form is longer. */
export const envelopeBytes = 160;

export function signObject(signingKey: string, place: StorePlace, key: string, bytes: Uint8Array): Buffer {
  const signature = signBytes(signingKey, signedBytes(place, key, bytes)).toString("base64url");
  const line = `qdrant-dr-signed 1 ${keyIdOf(publicKeyOf(signingKey))} ${signature}\n`;
  return Buffer.concat([Buffer.from(line), bytes]);
}

export type OpenedObject =
  | { readonly bytes: Buffer; readonly signer: TrustedKey }
  /** Why it is not believed. */
  | { readonly problem: string };

export function openObject(trust: Trust, place: StorePlace, key: string, stored: Buffer): OpenedObject {
  const [line, keyId, text] = head.exec(stored.toString("latin1", 0, envelopeBytes)) ?? [];
  if (line === undefined || keyId === undefined || text === undefined) return { problem: "it is not signed" };
  const signer = trust.keys.find((trusted) => keyIdOf(trusted.key) === keyId);
  if (signer === undefined) return { problem: `the key that signed it (${keyId}) is not one of this region's trust` };
  const bytes = stored.subarray(line.length);
  const signature = Buffer.from(text, "base64url");
  if (signature.toString("base64url") !== text || !hasSigned(signer.key, signedBytes(place, key, bytes), signature)) {
    return { problem: `it is not what ${signer.name} signed for this place: changed, or brought from elsewhere` };
  }
  const why = whyNotBelieved(signer, place, key);
  return why === undefined ? { bytes, signer } : { problem: `${signer.name} signed it, and ${why}` };
}

/** Each part with its length before it, so that no two objects have the same. */
function signedBytes(place: StorePlace, key: string, bytes: Uint8Array): Buffer {
  const parts = ["qdrant-dr object 1", identityOf(place, key), key].map((text) => Buffer.from(text));
  const withLengths = [...parts, bytes].flatMap((part) => {
    const length = Buffer.alloc(8);
    length.writeBigUInt64BE(BigInt(part.length));
    return [length, part];
  });
  return Buffer.concat(withLengths);
}
