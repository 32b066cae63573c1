/** Reads JSON as it comes, in pieces of any length, and holds none of it: answers may be larger than a string or the memory. */

export interface JsonEvents {
  beginObject(): void;
  endObject(): void;
  beginArray(): void;
  endArray(): void;
  /** The name of the member whose value follows. */
  name(text: string): void;
  beginString(): void;
  /** Bytes of the string that has begun, as UTF-8 without escapes; only valid during the call. */
  stringPart(bytes: Uint8Array): void;
  endString(): void;
  /** As it is written. */
  number(source: string): void;
  literal(text: "true" | "false" | "null"): void;
}

const [quote, backslash, comma, colon] = [0x22, 0x5c, 0x2c, 0x3a];
const [openBrace, closeBrace, openBracket, closeBracket] = [0x7b, 0x7d, 0x5b, 0x5d];
const escapes: Readonly<Record<string, string>> = {
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  '"': '"',
  "\\": "\\",
  "/": "/",
};
const escapedBytes: Readonly<Record<string, Buffer>> = Object.fromEntries(
  Object.values(escapes).map((text) => [text, Buffer.from(text)]),
);
const numberForm = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;
/** Qdrant takes no JSON that is deeper than 128. */
const deepest = 512;

type Expected = "value" | "value or end" | "name" | "name or end" | "colon" | "comma or end" | "nothing";

export class JsonTokenizer {
  readonly #events: JsonEvents;
  readonly #open: ("array" | "object")[] = [];
  #expected: Expected = "value";
  #token: "none" | "string" | "name" | "escape" | "word" = "none";
  /** Of a word, a name or an escape that has begun. */
  #text = "";
  #nameParts: Buffer[] = [];
  #isOfName = false;
  #highSurrogate: string | undefined;

  constructor(events: JsonEvents) {
    this.#events = events;
  }

  /** Throws SyntaxError where it is no JSON. */
  write(part: Uint8Array): void {
    // One view for all of its numbers.
    const bytes = Buffer.from(part.buffer, part.byteOffset, part.length);
    for (let at = 0; at < bytes.length; ) {
      if (this.#token === "none") at = this.#begin(bytes, at);
      else if (this.#token === "word") at = this.#readWord(bytes, at);
      else if (this.#token === "escape") at = this.#readEscape(bytes, at);
      else at = this.#readString(bytes, at);
    }
  }

  /** Throws SyntaxError when something is missing. */
  end(): void {
    if (this.#token === "word") this.#endWord();
    if (this.#token !== "none" || this.#expected !== "nothing") throw new SyntaxError("the JSON breaks off");
  }

  #begin(bytes: Uint8Array, at: number): number {
    const byte = bytes[at];
    if (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09) return at + 1;
    if (byte === comma && this.#expected === "comma or end") {
      this.#expected = this.#open.at(-1) === "object" ? "name" : "value";
    } else if (byte === colon && this.#expected === "colon") {
      this.#expected = "value";
    } else if (byte === closeBrace || byte === closeBracket) {
      this.#close(byte === closeBrace ? "object" : "array");
    } else if (byte === quote && this.#expected.startsWith("name")) {
      this.#token = "name";
      this.#isOfName = true;
      this.#nameParts = [];
    } else {
      return this.#beginValue(bytes, at);
    }
    return at + 1;
  }

  #beginValue(bytes: Uint8Array, at: number): number {
    if (!this.#expected.startsWith("value")) throw unexpected(bytes, at);
    const byte = bytes[at];
    if (byte === openBrace || byte === openBracket) {
      if (this.#open.length === deepest) throw new SyntaxError("the JSON is too deep");
      const isObject = byte === openBrace;
      this.#open.push(isObject ? "object" : "array");
      this.#expected = isObject ? "name or end" : "value or end";
      if (isObject) this.#events.beginObject();
      else this.#events.beginArray();
      return at + 1;
    }
    if (byte === quote) {
      this.#token = "string";
      this.#isOfName = false;
      this.#events.beginString();
      return at + 1;
    }
    this.#token = "word";
    this.#text = "";
    return at;
  }

  #close(what: "array" | "object"): void {
    const canEnd =
      this.#expected === "comma or end" || this.#expected === (what === "object" ? "name or end" : "value or end");
    if (!canEnd || this.#open.pop() !== what) throw new SyntaxError("the JSON closes what is not open");
    if (what === "object") this.#events.endObject();
    else this.#events.endArray();
    this.#afterValue();
  }

  #afterValue(): void {
    this.#token = "none";
    this.#expected = this.#open.length === 0 ? "nothing" : "comma or end";
  }

  /** A number or a literal. */
  #readWord(bytes: Buffer, begin: number): number {
    let at = begin;
    while (at < bytes.length && isOfWord(bytes[at] ?? 0)) at += 1;
    this.#text += bytes.toString("latin1", begin, at);
    if (this.#text.length > 10_000) throw new SyntaxError("the JSON has a number that is too long");
    if (at < bytes.length) {
      if (this.#text === "") throw unexpected(bytes, at);
      this.#endWord();
    }
    return at;
  }

  #endWord(): void {
    const text = this.#text;
    if (text === "true" || text === "false" || text === "null") this.#events.literal(text);
    else if (numberForm.test(text)) this.#events.number(text);
    else throw new SyntaxError(`the JSON has ${JSON.stringify(text.slice(0, 50))}`);
    this.#afterValue();
  }

  #readString(bytes: Uint8Array, begin: number): number {
    let at = begin;
    while (at < bytes.length && bytes[at] !== quote && bytes[at] !== backslash) at += 1;
    if (at > begin) this.#part(bytes.subarray(begin, at));
    if (at === bytes.length) return at;
    if (bytes[at] === backslash) {
      this.#token = "escape";
      this.#text = "";
    } else if (this.#isOfName) {
      this.#flushSurrogate();
      this.#token = "none";
      this.#expected = "colon";
      this.#events.name(Buffer.concat(this.#nameParts).toString("utf8"));
    } else {
      this.#flushSurrogate();
      this.#events.endString();
      this.#afterValue();
    }
    return at + 1;
  }

  #readEscape(bytes: Uint8Array, at: number): number {
    this.#text += String.fromCharCode(bytes[at] ?? 0);
    const isUnicode = this.#text[0] === "u";
    if (isUnicode && this.#text.length < 5) return at + 1;
    const text = isUnicode ? unicodeOf(this.#text) : escapes[this.#text];
    if (text === undefined) throw new SyntaxError(`the JSON has the escape ${JSON.stringify(this.#text)}`);
    this.#token = this.#isOfName ? "name" : "string";
    if (/^[\ud800-\udbff]$/.test(text)) {
      this.#flushSurrogate();
      this.#highSurrogate = text;
    } else {
      const before = this.#highSurrogate ?? "";
      this.#highSurrogate = undefined;
      this.#deliver((before === "" ? escapedBytes[text] : undefined) ?? Buffer.from(before + text));
    }
    return at + 1;
  }

  /** One that stands alone is no character. */
  #flushSurrogate(): void {
    if (this.#highSurrogate === undefined) return;
    this.#highSurrogate = undefined;
    this.#deliver(Buffer.from("\ufffd"));
  }

  #part(bytes: Uint8Array): void {
    this.#flushSurrogate();
    this.#deliver(bytes);
  }

  #deliver(bytes: Uint8Array): void {
    if (this.#isOfName) this.#nameParts.push(Buffer.from(bytes));
    else this.#events.stringPart(bytes);
  }
}

/** @param text such as `u00e4`. */
function unicodeOf(text: string): string | undefined {
  return /^u[0-9a-fA-F]{4}$/.test(text) ? String.fromCharCode(Number.parseInt(text.slice(1), 16)) : undefined;
}

/** Digits, signs, points and letters. */
function isOfWord(byte: number): boolean {
  return (
    (byte >= 0x30 && byte <= 0x39) ||
    byte === 0x2d ||
    byte === 0x2b ||
    byte === 0x2e ||
    (byte >= 0x61 && byte <= 0x7a) ||
    byte === 0x45
  );
}

function unexpected(bytes: Uint8Array, at: number): SyntaxError {
  const found = JSON.stringify(Buffer.from(bytes.subarray(at, at + 20)).toString("utf8"));
  return new SyntaxError(`no JSON, but ${found}`);
}
