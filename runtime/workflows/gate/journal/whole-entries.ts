/** What a write left, told without asking Qdrant. */
import type { JournalEntry } from "../../../domain/journal/entry.ts";
import type { TouchedPoints } from "../../../domain/journal/touched-points.ts";
import type { GatedRequest } from "../../../ports/gated-qdrant.ts";
import { bytesOfEntry, type CollectionTold } from "./read-back.ts";

/** What is true whatever was there before: full upserts, and deletes by id. Undefined when it has to be read back. */
export function wholeEntries(
  collection: string,
  { filters, ids, points, shardKeys, unclear }: TouchedPoints,
  told: CollectionTold,
  { method, url }: GatedRequest,
  at: string,
): JournalEntry[] | undefined {
  if (unclear !== undefined || filters.length > 0 || told.hasShardKeys || shardKeys.length > 0) return undefined;
  const [path = ""] = url.split("?", 1);
  const common = { kind: "points", at, collection } as const;
  if (method === "POST" && /\/points\/delete\/*$/.test(path)) {
    return [{ ...common, isComplete: false, ids, points: [] }];
  }
  if (method !== "PUT" || !/\/points\/*$/.test(path) || points === undefined) return undefined;
  const isWhole = points.every(
    ({ hasPayload, vectors }) => hasPayload && told.vectors.every((name) => vectors?.includes(name) === true),
  );
  if (!isWhole) return undefined;
  const entries: JournalEntry[] = [];
  for (let begin = 0; begin < points.length; ) {
    let [end, bytes] = [begin, 0];
    while (end < points.length && (end === begin || bytes < bytesOfEntry)) {
      bytes += Buffer.byteLength(points[end]?.text ?? "");
      end += 1;
    }
    const texts = points.slice(begin, end).map(({ text }) => text);
    entries.push({ ...common, isComplete: true, ids: ids.slice(begin, end), points: texts });
    begin = end;
  }
  return entries;
}
