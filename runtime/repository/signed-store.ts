/**
 * A store whose objects are signed: what is created gets a signature, and what is read is given only when who is trusted with its
 * place has signed it for this place. Readers and writers of records know nothing of it.
 */
import { envelopeBytes, openObject, signObject } from "../domain/trust/envelope.ts";
import { isSignedPlace, type StorePlace, whyNotBelieved } from "../domain/trust/places.ts";
import { publicKeyOf } from "../domain/trust/signing-key.ts";
import type { Trust, TrustedKey } from "../domain/trust/trust.ts";
import { DrError } from "../errors.ts";
import type { Abortable, ObjectStore, ReadRequest, StoredObject } from "../ports/object-store.ts";

export interface Trusting extends StorePlace {
  readonly trust: Trust;
  /** Absent: nothing that is signed can be created. */
  readonly signingKey?: string | undefined;
}

/** Of an epoch, with its signature. */
const mostCarriedBytes = 65_536;

export class SignedStore implements ObjectStore {
  readonly #store: ObjectStore;
  readonly #trusting: Trusting;

  constructor(store: ObjectStore, trusting: Trusting) {
    this.#store = store;
    this.#trusting = trusting;
  }

  /** Throws NOT_AUTHENTIC for what nobody signed who is trusted with it. */
  async get(key: string, request: ReadRequest = {}): Promise<Buffer> {
    if (!isSignedPlace(this.#trusting.store, key)) return this.#store.get(key, request);
    const { length, mostBytes, offset, signal } = request;
    const most = mostBytes === undefined ? {} : { mostBytes: mostBytes + envelopeBytes };
    const opened = openObject(
      this.#trusting.trust,
      this.#trusting,
      key,
      await this.#store.get(key, { ...most, signal }),
    );
    if ("problem" in opened) throw notAuthentic(key, opened.problem);
    // A signature is of the whole.
    return offset === undefined || length === undefined ? opened.bytes : opened.bytes.subarray(offset, offset + length);
  }

  /** Of the object as it is stored, its signature among the bytes. */
  checksumOf(key: string): Promise<string | undefined> {
    return this.#store.checksumOf(key);
  }

  list(prefix: string, request?: Abortable): AsyncIterable<StoredObject> {
    return this.#store.list(prefix, request);
  }

  folders(folder: string, request?: Abortable): AsyncIterable<string> {
    return this.#store.folders(folder, request);
  }

  /** Of the object as it is stored, its signature among the bytes. */
  sizeOf(key: string, request?: Abortable): Promise<number | undefined> {
    return this.#store.sizeOf(key, request);
  }

  async create(key: string, bytes: Uint8Array, sha256?: string): Promise<"created" | "exists"> {
    if (!isSignedPlace(this.#trusting.store, key)) return this.#store.create(key, bytes, sha256);
    return this.#store.create(key, signObject(this.#keyFor(key), this.#trusting, key, bytes));
  }

  /** Stores what another store of the pair holds under this key, with the signature that it has there. */
  async carry(key: string, from: SignedStore): Promise<"created" | "exists"> {
    const stored = await from.#store.get(key, { mostBytes: mostCarriedBytes });
    const opened = openObject(this.#trusting.trust, this.#trusting, key, stored);
    if ("problem" in opened) throw notAuthentic(key, opened.problem);
    return this.#store.create(key, stored);
  }

  /** What nobody would believe is not stored: it would stand in the way for good. */
  #keyFor(key: string): string {
    const { signingKey, trust } = this.#trusting;
    if (signingKey === undefined) {
      throw new DrError("ACCESS_DENIED", `${key} is to be signed, and there is no signing key here`, {
        hint: "give your own with --signing-key-file or in QDRANT_DR_SIGNING_KEY; `qdrant-dr keys new` makes one",
      });
    }
    const publicKey = publicKeyOf(signingKey);
    const own: TrustedKey | undefined = trust.keys.find((trusted) => trusted.key === publicKey);
    const why =
      own === undefined ? `it is not among the keys that are trusted` : whyNotBelieved(own, this.#trusting, key);
    if (why === undefined) return signingKey;
    throw new DrError(
      "ACCESS_DENIED",
      `${key} is not stored: nobody would believe the key ${own?.name ?? publicKey}: ${why}`,
      {
        hint: "sign with a key of an operator, or put this one into `trust` of both regions: docs/how-to/rotate-keys.md",
      },
    );
  }
}

function notAuthentic(key: string, problem: string): DrError {
  return new DrError("NOT_AUTHENTIC", `${key} is not believed: ${problem}`, {
    hint: "see who can write to the store: docs/security/threat-model.md; what is not believed is not obeyed",
  });
}
