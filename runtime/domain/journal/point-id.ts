/**
 * Ids of points as JSON holds them: digits, or a UUID in quotes. One text for each id, however a client writes it, so that equal ids
 * are equal texts; whole numbers beyond 2^53 stay as they are.
 */

/** `7` or `"c6a0…"`, as it stands in JSON. */
export type PointId = string;

const mostDigits = 20;
const largest = 2n ** 64n - 1n;
const canonical = /^(?:0|[1-9]\d{0,19}|"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")$/;

export function isPointId(text: string): text is PointId {
  return canonical.test(text);
}

/** Undefined for digits that Qdrant takes for no id. */
export function numericId(digits: string): PointId | undefined {
  if (!/^(0|[1-9]\d*)$/.test(digits) || digits.length > mostDigits) return undefined;
  return digits.length < mostDigits || BigInt(digits) <= largest ? digits : undefined;
}

/** Qdrant takes UUIDs with and without hyphens, in either case, in braces and as `urn:uuid:`. Undefined for what is none. */
export function uuidId(text: string): PointId | undefined {
  const bare = text.startsWith("urn:uuid:") ? text.slice(9) : /^\{.*\}$/s.test(text) ? text.slice(1, -1) : text;
  const hyphenated = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
  if (hyphenated.test(bare)) return `"${bare.toLowerCase()}"`;
  if (!/^[0-9a-f]{32}$/i.test(bare)) return undefined;
  const hex = bare.toLowerCase();
  return `"${[hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-")}"`;
}
