/**
 * A store whose objects are signed: what is created gets a signature, and what is read is given only when who is trusted with its
 * place has signed it for this place. Readers and writers of records know nothing of it.
 */
import { mostBytesOf } from "../domain/recovery-points/object-bounds.ts";
import { envelopeBytes, openObject, signObject } from "../domain/trust/envelope.ts";
import { keyBefore, mostNamesBehind, nameBehind } from "../domain/trust/names-behind.ts";
import { isSignedPlace, type StorePlace, whyNotBelieved } from "../domain/trust/places.ts";
import { publicKeyOf } from "../domain/trust/signing-key.ts";
import type { Trust, TrustedKey } from "../domain/trust/trust.ts";
import { DrError, hasCode, toDrError } from "../errors.ts";
import type { Abortable, ObjectLocks, ObjectStore, ReadRequest, StoredObject } from "../ports/object-store.ts";
import { ForwardingStore } from "./forwarding-store.ts";
import { unlessMissing } from "./record.ts";

export interface Trusting extends StorePlace {
  readonly trust: Trust;
  /** Absent: nothing that is signed can be created. */
  readonly signingKey?: string | undefined;
}

type Bounds = Pick<ReadRequest, "mostBytes" | "signal">;
/** An object with its signature, as it is stored, and what it holds. */
type Found = { readonly stored: Buffer; readonly bytes: Buffer } | { readonly problem: string };

/** Checksums and sizes are of objects as they are stored, their signatures among the bytes. */
export class SignedStore extends ForwardingStore {
  readonly #trusting: Trusting;

  constructor(store: ObjectStore, trusting: Trusting) {
    super(store);
    this.#trusting = trusting;
  }

  /** Throws NOT_AUTHENTIC for what nobody signed who is trusted with it. */
  override async get(key: string, request: ReadRequest = {}): Promise<Buffer> {
    if (!isSignedPlace(this.#trusting.store, key)) return this.store.get(key, request);
    const { length, mostBytes, offset, signal } = request;
    const most = mostBytes === undefined ? {} : { mostBytes: mostBytes + envelopeBytes };
    const found = await this.#find(key, { ...most, signal });
    if ("problem" in found) throw notAuthentic(key, found.problem);
    // A signature is of the whole.
    return offset === undefined || length === undefined ? found.bytes : found.bytes.subarray(offset, offset + length);
  }

  /** What stands behind another object is listed as that: by its key, with its own size and time. */
  override async *list(prefix: string, request?: Abortable): AsyncGenerator<StoredObject> {
    let held: StoredObject | undefined;
    for await (const object of this.store.list(prefix, request)) {
      const key = keyBefore(object.key);
      // Stores list by name: it follows what it stands behind.
      if (key !== undefined) held = held?.key === key ? { ...object, key } : held;
      else {
        if (held !== undefined) yield held;
        held = object;
      }
    }
    if (held !== undefined) yield held;
  }

  /** What nobody signed who is trusted with the place does not take it: the object goes behind that, under the next of its names. */
  override async create(
    ...[key, bytes, sha256, lockedUntil]: Parameters<ObjectStore["create"]>
  ): Promise<"created" | "exists"> {
    if (!isSignedPlace(this.#trusting.store, key)) return this.store.create(key, bytes, sha256, lockedUntil);
    return this.#createSigned(key, signObject(this.#keyFor(key), this.#trusting, key, bytes), lockedUntil);
  }

  /** Of a signed object, the lock of the one that is believed. */
  override async locks(): Promise<ObjectLocks | undefined> {
    const locks = await this.store.locks?.();
    if (locks === undefined) return undefined;
    return {
      ...locks,
      lockedUntil: async (key) => locks.lockedUntil(await this.#believedName(key)),
      extend: async (key, until) => locks.extend(await this.#believedName(key), until),
    };
  }

  async #believedName(key: string): Promise<string> {
    if (!isSignedPlace(this.#trusting.store, key)) return key;
    const names = [key, ...Array.from({ length: mostNamesBehind }, (_, turn) => this.#nameOf(key, turn + 1))];
    for (const name of names) {
      const found = await unlessMissing(this.#openAt(name, key, boundsOf(key)));
      if (found === undefined) break;
      if ("bytes" in found) return name;
    }
    return key;
  }

  /** Stores what another store of the pair holds under this key, with the signature that it has there. */
  async carry(key: string, from: SignedStore): Promise<"created" | "exists"> {
    const found = await from.#find(key, boundsOf(key));
    if ("problem" in found) throw notAuthentic(key, found.problem);
    const opened = openObject(this.#trusting.trust, this.#trusting, key, found.stored);
    if ("problem" in opened) throw notAuthentic(key, opened.problem);
    return this.#createSigned(key, found.stored);
  }

  async #createSigned(key: string, stored: Buffer, lockedUntil?: Date): Promise<"created" | "exists"> {
    for (let turn = 0; turn <= mostNamesBehind; turn += 1) {
      const answer = await this.store.create(this.#nameOf(key, turn), stored, undefined, lockedUntil);
      if (answer === "created") return "created";
      const there = await unlessMissing(this.#find(key, boundsOf(key)));
      if (there !== undefined && "bytes" in there) return "exists";
    }
    throw new DrError(
      "NOT_AUTHENTIC",
      `${key} cannot be stored: something that nobody signed stands under all its names`,
      {
        hint: "who did that knows the id of this pair: see in the store's access log who it was, and take his rights away; delete nothing: what stands in front is the way to what is genuine behind it",
      },
    );
  }

  /**
   * The object that is believed: the one under its key, or what that was before somebody replaced it, or the one behind it. What is
   * there and is not believed costs a few requests, and what is believed none. Throws OBJECT_NOT_FOUND when nothing is there.
   */
  async #find(key: string, bounds: Bounds): Promise<Found> {
    const first = await this.#openAt(key, key, bounds);
    if ("bytes" in first) return first;
    for await (const stored of this.store.formerly?.(key, bounds) ?? []) {
      const former = this.#open(key, stored);
      if ("bytes" in former) return former;
    }
    for (let turn = 1; turn <= mostNamesBehind; turn += 1) {
      const behind = await unlessMissing(this.#openAt(this.#nameOf(key, turn), key, bounds));
      if (behind === undefined) break;
      if ("bytes" in behind) return behind;
    }
    return first;
  }

  async #openAt(name: string, key: string, bounds: Bounds): Promise<Found> {
    try {
      return this.#open(key, await this.store.get(name, bounds));
    } catch (error) {
      // Too large, or other bytes than were stored: no signature is of that.
      if (hasCode(error, "OBJECT_CORRUPT")) return { problem: toDrError(error).message };
      throw error;
    }
  }

  #open(key: string, stored: Buffer): Found {
    const opened = openObject(this.#trusting.trust, this.#trusting, key, stored);
    return "problem" in opened ? opened : { stored, bytes: opened.bytes };
  }

  #nameOf(key: string, turn: number): string {
    return turn === 0 ? key : nameBehind(this.#trusting, key, turn);
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

function boundsOf(key: string): Bounds {
  return { mostBytes: mostBytesOf(key) + envelopeBytes };
}

function notAuthentic(key: string, problem: string): DrError {
  return new DrError("NOT_AUTHENTIC", `${key} is not believed: ${problem}`, {
    hint: "see who can write to the store: docs/security/threat-model.md; what is not believed is not obeyed",
  });
}
