/**
 * JSON that is read and written again without a change in what it says. JavaScript's numbers cannot hold every integer
 * that JSON and Kubernetes can, so those that they cannot hold stay as they are written.
 */

/** What V8 has and TypeScript's library does not describe yet. */
const json = JSON as typeof JSON & {
  rawJSON(text: string): unknown;
  isRawJSON(value: unknown): value is { readonly rawJSON: string };
};
type Reviver = (name: string, value: unknown, context: { readonly source?: string }) => unknown;

export function parseExactly(text: string): unknown {
  const keep: Reviver = (_name, value, { source }) =>
    typeof value === "number" && source !== undefined && !isHeld(value, source) ? json.rawJSON(source) : value;
  return JSON.parse(text, keep as (name: string, value: unknown) => unknown);
}

/** Equal for equal values, whatever the order of their members; two spaces deep, for people who read the files. */
export function documentText(value: unknown): string {
  return `${JSON.stringify(sorted(value), null, 2)}\n`;
}

/** A plain value, or a list or object as one line. */
export function lineOf(value: unknown): string {
  return JSON.stringify(sorted(value)) ?? "nothing";
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return value !== null && typeof value === "object" && !Array.isArray(value) && !json.isRawJSON(value);
}

function isHeld(value: number, source: string): boolean {
  return Number.isFinite(value) && (Number.isSafeInteger(value) || !/^-?\d+$/.test(source));
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isRecord(value)) return value;
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  // Not by assignment: a member may be called __proto__.
  return Object.fromEntries(members.map(([name, member]) => [name, sorted(member)]));
}
