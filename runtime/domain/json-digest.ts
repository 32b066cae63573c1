/**
 * One short text for equal JSON values, made while they come: small values stand as canonical JSON, and what is larger as a hash of
 * it, so that a value of any size takes the memory of its depth. Members are equal in any order.
 */
import { createHash, type Hash } from "node:crypto";
import { writtenNumberText } from "./exact-json.ts";
import type { JsonEvents } from "./json-tokens.ts";

/** Longer texts are hashed. It decides the digests: never change it. */
const longest = 4_096;
const modulus = 1n << 256n;

/** A value that has begun, and takes the values in it as texts. */
interface Frame {
  add(name: string, text: string): void;
  end(): string;
}

class ArrayFrame implements Frame {
  /** Joined at once: a text that grows by each number leaves a trail of its past. */
  #parts: string[] = ["["];
  #length = 1;
  #hash: Hash | undefined;
  #isFirst = true;

  add(_name: string, text: string): void {
    if (!this.#isFirst) this.#parts.push(",");
    this.#parts.push(text);
    this.#length += text.length + (this.#isFirst ? 0 : 1);
    this.#isFirst = false;
    if (this.#length <= longest) return;
    this.#hash ??= createHash("sha256");
    this.#hash.update(this.#parts.join(""));
    this.#parts = [];
    this.#length = 0;
  }

  end(): string {
    const text = `${this.#parts.join("")}]`;
    return this.#hash === undefined ? text : `#a${this.#hash.update(text).digest("hex")}`;
  }
}

class ObjectFrame implements Frame {
  #members: string[] | undefined = [];
  #length = 0;
  /** Of the hashes of all members: the same in any order. */
  #sum = 0n;

  add(name: string, text: string): void {
    const member = `${JSON.stringify(name)}:${text}`;
    if (this.#members === undefined) {
      this.#count(member);
      return;
    }
    this.#members.push(member);
    this.#length += member.length;
    if (this.#length <= longest) return;
    for (const each of this.#members) this.#count(each);
    this.#members = undefined;
  }

  #count(member: string): void {
    this.#sum = (this.#sum + BigInt(`0x${createHash("sha256").update(member).digest("hex")}`)) % modulus;
  }

  end(): string {
    return this.#members === undefined ? `#o${this.#sum.toString(16)}` : `{${this.#members.sort().join(",")}}`;
  }
}

/** Takes the events of one value. */
export class JsonDigest implements JsonEvents {
  readonly #open: { readonly frame: Frame; name: string }[] = [];
  readonly #isOfFloats: boolean;
  /** The begin of a string, or what of a long one is not hashed yet. */
  readonly #string = Buffer.allocUnsafe(longest);
  #stringLength = 0;
  #stringHash: Hash | undefined;
  #text: string | undefined;

  /** @param isOfFloats all numbers are floats, however they are written. */
  constructor({ isOfFloats = false } = {}) {
    this.#isOfFloats = isOfFloats;
  }

  /** Undefined while the value has not ended. */
  get text(): string | undefined {
    return this.#text;
  }

  beginObject(): void {
    this.#open.push({ frame: new ObjectFrame(), name: "" });
  }

  beginArray(): void {
    this.#open.push({ frame: new ArrayFrame(), name: "" });
  }

  endObject(): void {
    this.#end();
  }

  endArray(): void {
    this.#end();
  }

  name(text: string): void {
    const top = this.#open.at(-1);
    if (top !== undefined) top.name = text;
  }

  beginString(): void {
    this.#stringLength = 0;
    this.#stringHash = undefined;
  }

  stringPart(bytes: Uint8Array): void {
    if (this.#stringLength + bytes.length > longest) {
      this.#stringHash ??= createHash("sha256");
      this.#stringHash.update(this.#string.subarray(0, this.#stringLength));
      this.#stringLength = 0;
    }
    if (bytes.length > longest) {
      this.#stringHash?.update(bytes);
    } else {
      this.#string.set(bytes, this.#stringLength);
      this.#stringLength += bytes.length;
    }
  }

  endString(): void {
    const rest = this.#string.subarray(0, this.#stringLength);
    const hash = this.#stringHash?.update(rest).digest("hex");
    this.#take(hash === undefined ? JSON.stringify(rest.toString("utf8")) : `#s${hash}`);
  }

  number(source: string): void {
    this.#take(this.#isOfFloats ? String(Number(source)) : writtenNumberText(source));
  }

  literal(text: string): void {
    this.#take(text);
  }

  #end(): void {
    const ended = this.#open.pop();
    if (ended !== undefined) this.#take(ended.frame.end());
  }

  #take(text: string): void {
    const top = this.#open.at(-1);
    if (top === undefined) this.#text = text;
    else top.frame.add(top.name, text);
  }
}
