/**
 * Entries as lines of text: a line of JSON for each, and behind one of points a line with its ids, and one for each point as it was
 * written. Nothing of a point is parsed on its way.
 */
import { exactText, parseExactly } from "../exact-json.ts";
import { headSchema, type JournalEntry } from "./entry.ts";
import { isPointId } from "./point-id.ts";

export function encodeEntries(entries: readonly JournalEntry[]): string {
  return entries.map(encodeEntry).join("");
}

function encodeEntry(entry: JournalEntry): string {
  if (entry.kind !== "points") return `${exactText(entry)}\n`;
  const { ids, points, ...head } = entry;
  const lines = [JSON.stringify({ ...head, points: points.length }), `[${ids.join(",")}]`, ...points];
  return `${lines.join("\n")}\n`;
}

/** JSON has line breaks between its parts only, where a space says the same. */
export function inOneLine(json: string): string {
  return /[\n\r]/.test(json) ? json.replace(/[\n\r]/g, " ") : json;
}

/** @throws Error when it is not what `encodeEntries` writes. */
export function decodeEntries(text: string): JournalEntry[] {
  const lines = text.split("\n");
  if (lines.pop() !== "") throw new Error("the last line has no end");
  const entries: JournalEntry[] = [];
  for (let at = 0; at < lines.length; ) {
    const head = headSchema.parse(parseExactly(lines[at] ?? ""));
    at += 1;
    if (head.kind !== "points") {
      entries.push(head);
      continue;
    }
    const { points: count, ...rest } = head;
    const ids = idsOf(lines[at] ?? "");
    const points = lines.slice(at + 1, at + 1 + count);
    at += 1 + count;
    if (points.length < count || !points.every(isObject)) throw new Error("points are missing behind an entry");
    entries.push({ ...rest, ids, points });
  }
  return entries;
}

function idsOf(line: string): string[] {
  if (!line.startsWith("[") || !line.endsWith("]")) throw new Error("an entry of points has no ids");
  const inside = line.slice(1, -1);
  const ids = inside === "" ? [] : inside.split(",");
  if (!ids.every(isPointId)) throw new Error("an entry of points has what is no id");
  return ids;
}

function isObject(line: string): boolean {
  return line.startsWith("{") && line.trimEnd().endsWith("}");
}
