/** The vectors of a point as they come, of every kind, as a search takes them: dense, sparse and multivectors. */

/** A vector of more numbers is no question: each stands in the recovery point. */
const longestVector = 16_384;
/** Searches that one point can be the question of. */
const mostVectors = 8;

type Dense = readonly number[];
interface Sparse {
  readonly indices: readonly number[];
  readonly values: readonly number[];
}
export type AskableVector = Dense | readonly Dense[] | Sparse;

export interface NamedVector {
  /** Absent for the unnamed one. */
  readonly using?: string;
  readonly vector: AskableVector;
}

type Open = unknown[] | Map<string, unknown>;

export class VectorsOfPoint {
  readonly found: NamedVector[] = [];
  #depth = 0;
  #isNamed = false;
  #using: string | undefined;
  /** The vector that comes, from outside to inside; undefined where it is no question. */
  #open: Open[] | undefined;
  #member = "";
  #numbers = 0;

  get #base(): number {
    return this.#isNamed ? 2 : 1;
  }

  begin(what: "array" | "object"): void {
    this.#depth += 1;
    if (this.#depth === 1 && what === "object") {
      this.#isNamed = true;
      return;
    }
    const opened: Open = what === "array" ? [] : new Map();
    if (this.#depth === this.#base) {
      this.#open = this.found.length < mostVectors ? [opened] : undefined;
      this.#numbers = 0;
    } else if (this.#depth === this.#base + 1) {
      this.#put(opened);
      this.#open?.push(opened);
    } else {
      this.other();
    }
  }

  name(text: string): void {
    if (this.#depth === 1) this.#using = text;
    else this.#member = text;
  }

  number(source: string): void {
    this.#numbers += 1;
    if (this.#numbers > longestVector) this.other();
    else this.#put(Number(source));
  }

  /** What no vector has. */
  other(): void {
    this.#open = undefined;
  }

  end(): void {
    if (this.#depth === this.#base) this.#endVector();
    else if (this.#depth > this.#base) this.#open?.pop();
    this.#depth -= 1;
  }

  #put(value: unknown): void {
    const into = this.#open?.at(-1);
    if (Array.isArray(into)) into.push(value);
    else into?.set(this.#member, value);
  }

  #endVector(): void {
    const vector = askable(this.#open?.[0]);
    this.#open = undefined;
    if (vector === undefined) return;
    this.found.push({ vector, ...(this.#isNamed && this.#using !== undefined ? { using: this.#using } : {}) });
  }
}

function askable(read: Open | undefined): AskableVector | undefined {
  if (read instanceof Map) {
    const [indices, values] = [read.get("indices"), read.get("values")];
    return read.size === 2 && isDense(indices) && isDense(values) && indices.length === values.length
      ? { indices, values }
      : undefined;
  }
  if (isDense(read)) return read;
  if (read === undefined || read.length === 0 || !read.every(isDense) || looksSparse(read)) return undefined;
  return read;
}

/** Qdrant takes two lists, of which the first one could be indices, for a sparse vector (tried on 1.16.3). */
function looksSparse([first = [], , third]: readonly Dense[]): boolean {
  return third === undefined && first.every((number) => Number.isInteger(number) && number >= 0);
}

function isDense(value: unknown): value is Dense {
  return Array.isArray(value) && value.length > 0 && value.every((each) => typeof each === "number");
}

/** How many numbers a vector has. */
export function numbersIn(vector: AskableVector): number {
  if ("indices" in vector) return vector.values.length;
  return vector.reduce<number>((sum, each) => sum + (typeof each === "number" ? 1 : each.length), 0);
}
