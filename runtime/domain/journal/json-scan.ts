/**
 * Finds parts of a JSON text without making values of it: numbers stay as they are written, and arrays of numbers, which are most of what
 * a write of vectors has, are jumped over.
 */

const [quote, backslash, comma, colon] = [0x22, 0x5c, 0x2c, 0x3a];
const [openBrace, closeBrace, openBracket, closeBracket] = [0x7b, 0x7d, 0x5b, 0x5d];
/** Qdrant takes no JSON that is deeper than 128. */
const deepest = 512;

/** Takes a value that begins at a place. */
type OnMember = (name: string, at: number) => void;
type OnElement = (at: number) => void;

export class JsonScan {
  readonly #bytes: Buffer;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** Where the value of the whole text begins. */
  get begin(): number {
    return this.#afterSpace(0);
  }

  isObject(at: number): boolean {
    return this.#bytes[at] === openBrace;
  }

  isArray(at: number): boolean {
    return this.#bytes[at] === openBracket;
  }

  isString(at: number): boolean {
    return this.#bytes[at] === quote;
  }

  isNull(at: number): boolean {
    return this.#bytes[at] === 0x6e;
  }

  /** The value as it is written. */
  text(at: number): string {
    return this.#bytes.toString("utf8", at, this.#afterValue(at, 0));
  }

  /** Each member of the object that begins here, in its order. @throws SyntaxError */
  members(object: number, onMember: OnMember): void {
    let at = this.#afterSpace(object + 1);
    if (this.#bytes[at] === closeBrace) return;
    for (;;) {
      if (this.#bytes[at] !== quote) throw this.#unexpected(at);
      const afterName = this.#afterString(at);
      const name = JSON.parse(this.#bytes.toString("utf8", at, afterName)) as string;
      at = this.#afterSpace(afterName);
      if (this.#bytes[at] !== colon) throw this.#unexpected(at);
      at = this.#afterSpace(at + 1);
      onMember(name, at);
      at = this.#afterSpace(this.#afterValue(at, 0));
      if (this.#bytes[at] === closeBrace) return;
      if (this.#bytes[at] !== comma) throw this.#unexpected(at);
      at = this.#afterSpace(at + 1);
    }
  }

  /** Each element of the array that begins here, in its order. @throws SyntaxError */
  elements(array: number, onElement: OnElement): void {
    let at = this.#afterSpace(array + 1);
    if (this.#bytes[at] === closeBracket) return;
    for (;;) {
      onElement(at);
      at = this.#afterSpace(this.#afterValue(at, 0));
      if (this.#bytes[at] === closeBracket) return;
      if (this.#bytes[at] !== comma) throw this.#unexpected(at);
      at = this.#afterSpace(at + 1);
    }
  }

  #afterSpace(from: number): number {
    let at = from;
    for (;;) {
      const byte = this.#bytes[at];
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return at;
      at += 1;
    }
  }

  #afterString(at: number): number {
    for (let from = at + 1; ; ) {
      const end = this.#bytes.indexOf(quote, from);
      if (end < 0) throw new SyntaxError("the JSON breaks off in a string");
      let escapes = 0;
      while (this.#bytes[end - 1 - escapes] === backslash) escapes += 1;
      if (escapes % 2 === 0) return end + 1;
      from = end + 1;
    }
  }

  #afterValue(at: number, depth: number): number {
    const byte = this.#bytes[at];
    if (depth > deepest) throw new SyntaxError("the JSON is too deep");
    if (byte === quote) return this.#afterString(at);
    if (byte === openBrace) return this.#afterParts(at, closeBrace, depth);
    if (byte === openBracket) {
      const first = this.#bytes[this.#afterSpace(at + 1)] ?? 0;
      if (isOfNumber(first)) {
        // Nothing but numbers, or nothing that is JSON for Qdrant, unless something else begins before it ends.
        const end = this.#bytes.indexOf(closeBracket, at);
        if (end > 0 && this.#isOfNumbers(at + 1, end)) return end + 1;
      }
      return this.#afterParts(at, closeBracket, depth);
    }
    let end = at;
    while (isOfWord(this.#bytes[end] ?? 0)) end += 1;
    if (end === at) throw this.#unexpected(at);
    return end;
  }

  /** Whether no string, object or array begins between. */
  #isOfNumbers(begin: number, end: number): boolean {
    for (const other of [quote, openBracket, openBrace]) {
      const found = this.#bytes.subarray(begin, end).indexOf(other);
      if (found >= 0) return false;
    }
    return true;
  }

  #afterParts(begin: number, close: number, depth: number): number {
    let at = this.#afterSpace(begin + 1);
    if (this.#bytes[at] === close) return at + 1;
    for (;;) {
      if (close === closeBrace) {
        if (this.#bytes[at] !== quote) throw this.#unexpected(at);
        at = this.#afterSpace(this.#afterString(at));
        if (this.#bytes[at] !== colon) throw this.#unexpected(at);
        at = this.#afterSpace(at + 1);
      }
      at = this.#afterSpace(this.#afterValue(at, depth + 1));
      if (this.#bytes[at] === close) return at + 1;
      if (this.#bytes[at] !== comma) throw this.#unexpected(at);
      at = this.#afterSpace(at + 1);
    }
  }

  #unexpected(at: number): SyntaxError {
    return new SyntaxError(`no JSON at ${at}: ${JSON.stringify(this.#bytes.toString("utf8", at, at + 20))}`);
  }
}

function isOfNumber(byte: number): boolean {
  return byte === 0x2d || (byte >= 0x30 && byte <= 0x39);
}

/** Digits, signs, points and letters. */
function isOfWord(byte: number): boolean {
  return isOfNumber(byte) || byte === 0x2b || byte === 0x2e || (byte >= 0x61 && byte <= 0x7a) || byte === 0x45;
}
