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
/** Of a character in UTF-8. */
const mostBytes = 3;
/** A text that is not hashed fits. */
const frameBytes = longest * mostBytes;

/** A value that has begun, and takes the values in it as texts. */
interface Frame {
  add(name: string, text: string): void;
  end(): string;
}

class ArrayFrame implements Frame {
  /** What of the text is not hashed: as strings, millions of numbers would outlive their time before they are joined. */
  readonly #buffer: Buffer;
  #bytes: number;
  /** Characters of the whole text. */
  #length = 1;
  #hash: Hash | undefined;
  #isFirst = true;

  /** @param buffer of `frameBytes`, the frame's until it ends. */
  constructor(buffer: Buffer) {
    this.#buffer = buffer;
    this.#bytes = buffer.write("[");
  }

  add(_name: string, text: string): void {
    if (!this.#isFirst) this.#write(",");
    this.#write(text);
    this.#isFirst = false;
  }

  #write(text: string): void {
    this.#length += text.length;
    if (this.#length > longest) this.#hash ??= createHash("sha256");
    if (this.#bytes + text.length * mostBytes > frameBytes) this.#hashBuffer();
    if (text.length * mostBytes > frameBytes) this.#hash?.update(text);
    else this.#bytes += this.#buffer.write(text, this.#bytes);
  }

  #hashBuffer(): void {
    this.#hash?.update(this.#buffer.subarray(0, this.#bytes));
    this.#bytes = 0;
  }

  end(): string {
    if (this.#hash === undefined) return `${this.#buffer.toString("utf8", 0, this.#bytes)}]`;
    this.#hashBuffer();
    return `#a${this.#hash.update("]").digest("hex")}`;
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
  /** By how deep the array is that has it. */
  readonly #buffers: Buffer[] = [];
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
    const depth = this.#open.length;
    const buffer = this.#buffers[depth] ?? Buffer.allocUnsafe(frameBytes);
    this.#buffers[depth] = buffer;
    this.#open.push({ frame: new ArrayFrame(buffer), name: "" });
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
    // In decimal, V8 would keep thousands of them for later.
    this.#take(this.#isOfFloats ? Number(source).toExponential() : writtenNumberText(source));
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
