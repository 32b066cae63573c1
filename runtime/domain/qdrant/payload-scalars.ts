/** The short values that stand directly in a payload, as they come: a filter can ask for them. */

/** Longer ones, and those of more fields, are no filter: each stands in the recovery point. */
const longestBytes = 128;
const mostScalars = 16;

export interface PayloadScalar {
  readonly key: string;
  readonly value: string | number | boolean;
}

export class ScalarsOfPayload {
  readonly found: PayloadScalar[] = [];
  #key: string | undefined;
  #parts: Buffer[] = [];
  #bytes = 0;

  name(text: string): void {
    // Others would have to be quoted as a path.
    this.#key = /^[A-Za-z0-9_-]{1,64}$/.test(text) ? text : undefined;
  }

  beginString(): void {
    [this.#parts, this.#bytes] = [[], 0];
  }

  stringPart(bytes: Uint8Array): void {
    this.#bytes += bytes.length;
    if (this.#key !== undefined && this.#bytes <= longestBytes) this.#parts.push(Buffer.from(bytes));
  }

  endString(): void {
    if (this.#bytes <= longestBytes) this.#add(Buffer.concat(this.#parts).toString("utf8"));
    this.#parts = [];
  }

  number(source: string): void {
    if (/^-?\d+$/.test(source) && Number.isSafeInteger(Number(source))) this.#add(Number(source));
  }

  literal(text: "true" | "false" | "null"): void {
    if (text !== "null") this.#add(text === "true");
  }

  #add(value: PayloadScalar["value"]): void {
    const key = this.#key;
    this.#key = undefined;
    if (key !== undefined && this.found.length < mostScalars) this.found.push({ key, value });
  }
}
