/**
 * JSON that is read and written again without a change in what it says. JavaScript's numbers cannot hold every number that
 * JSON, Kubernetes and Qdrant can, and are written otherwise than many were, so that those numbers stay as they are written.
 */

/** A number that is not a whole one and that JavaScript would write otherwise: `1.0`, `-0.0`, `1e300`. */
export interface WrittenNumber {
  readonly rawJSON: string;
}

/** Whole numbers are numbers as long as these hold them exactly, and bigints beyond: equal ones are `===`. */
export type ExactJson =
  | null
  | boolean
  | string
  | number
  | bigint
  | WrittenNumber
  | readonly ExactJson[]
  | { readonly [name: string]: ExactJson };

/** The part of V8's JSON that TypeScript's library does not describe yet. */
const json = JSON as typeof JSON & {
  rawJSON(text: string): WrittenNumber;
  isRawJSON(value: unknown): value is WrittenNumber;
};
type Reviver = (name: string, value: unknown, context: { readonly source?: string }) => unknown;

const wholeNumber = /^-?\d+$/;

/**
 * Finds a number (or what looks like one in a string) that JavaScript may write otherwise. Up to 15 digits come back as they
 * are, without zeros at the end of a fraction; below 1e-6 with an exponent, and no other ones.
 */
const plainNumber = [
  "-?[1-9]\\d{0,14}",
  "0",
  "-?(?!0\\.0{6})(?=[\\d.]{3,16}(?![\\d.]))(?:0|[1-9]\\d*)\\.\\d*[1-9]",
  "-?[1-9](?:\\.\\d{0,13}[1-9])?e-(?:[7-9]|[1-9]\\d)",
].join("|");
const otherNumber = new RegExp(`[[:,]\\s*(?=[-\\d])(?!(?:${plainNumber})[\\s,\\]}])`);

export function parseExactly(text: string): unknown {
  // A reviver that sees sources takes many times as long and as much memory.
  if (!/^\s*[-\d]/.test(text) && !otherNumber.test(text)) return JSON.parse(text);
  const keep: Reviver = (_name, value, { source }) => {
    if (typeof value !== "number" || source === undefined) return value;
    if (wholeNumber.test(source) && !Number.isSafeInteger(value)) return BigInt(source);
    return String(value) === source ? value : json.rawJSON(source);
  };
  return JSON.parse(text, keep as (name: string, value: unknown) => unknown);
}

/** Writes JSON as `JSON.stringify` does, with every number as it was read. */
export function exactText(value: unknown, indent?: number): string {
  return JSON.stringify(value, (_name, part) => (typeof part === "bigint" ? json.rawJSON(`${part}`) : part), indent);
}

/** Equal for equal values, whatever the order of their members; two spaces deep, for people who read the files. */
export function documentText(value: unknown): string {
  return `${exactText(sorted(value), 2)}\n`;
}

/** One line for people: a plain value, or a list or object with its members in order. */
export function lineOf(value: unknown): string {
  return exactText(sorted(value)) ?? "nothing";
}

/**
 * One text for equal values: of any order of members, and of any way to write a number. For comparisons and digests; it keeps
 * no number as it was written.
 */
export function canonicalJson(value: unknown): string {
  if (typeof value === "number" || typeof value === "bigint" || isWrittenNumber(value)) return numberText(value);
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value) ?? "null";
  const members = membersInOrder(value)
    .filter(([, member]) => member !== undefined)
    .map(([name, member]) => `${JSON.stringify(name)}:${canonicalJson(member)}`);
  return `{${members.join(",")}}`;
}

/**
 * One text for all ways to write a number, and another for each other number. A float is no whole number of the same value,
 * and is told as the double that it is, because versions of one server write the same float differently: `1e16`, `1e+16`.
 */
function numberText(value: number | bigint | WrittenNumber): string {
  if (typeof value !== "object") return JSON.stringify(typeof value === "bigint" ? json.rawJSON(`${value}`) : value);
  return writtenNumberText(value.rawJSON);
}

/** The same of a number as it is written. */
export function writtenNumberText(source: string): string {
  const double = Number(source);
  if (wholeNumber.test(source) || !Number.isFinite(double)) return source;
  const text = Object.is(double, -0) ? "-0" : String(double);
  return wholeNumber.test(text) ? `${text}.0` : text;
}

/** The same with floats as JavaScript holds them, where how they are written says nothing: `1.0` is 1. */
export function withPlainFloats(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withPlainFloats);
  if (json.isRawJSON(value)) return Number(value.rawJSON);
  return isRecord(value) ? mapMembers(value, withPlainFloats) : value;
}

export function isExactJson(value: unknown): value is ExactJson {
  if (Array.isArray(value)) return value.every(isExactJson);
  if (isRecord(value)) return Object.values(value).every(isExactJson);
  // JSON has no number that is not finite.
  if (typeof value === "number") return Number.isFinite(value);
  return value === null || isWrittenNumber(value) || ["boolean", "string", "bigint"].includes(typeof value);
}

function isWrittenNumber(value: unknown): value is WrittenNumber {
  return json.isRawJSON(value);
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return value !== null && typeof value === "object" && !Array.isArray(value) && !json.isRawJSON(value);
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isRecord(value)) return value;
  return mapMembers(Object.fromEntries(membersInOrder(value)), sorted);
}

function membersInOrder(value: object): [string, unknown][] {
  return Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
}

/** Not by assignment: a member may be called __proto__. */
function mapMembers(value: Readonly<Record<string, unknown>>, map: (member: unknown) => unknown): object {
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, map(member)]));
}
