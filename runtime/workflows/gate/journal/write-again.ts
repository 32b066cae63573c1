/**
 * Makes Qdrant keep what the journal tells. Qdrant does what it has in its log again whenever it starts, also what it refused: it leaves a
 * random part of that each time. So what a refused write left is written once more, behind it in the log, as it was read.
 */
import type { PointsEntry } from "../../../domain/journal/entry.ts";
import { JsonScan } from "../../../domain/journal/json-scan.ts";
import type { PointId } from "../../../domain/journal/point-id.ts";

/**
 * The body of a batch, or undefined when there is nothing to write. Nothing is lost whichever of its operations a kill leaves undone: no
 * point is deleted that is there.
 * @param vectors the names of all that the collection has.
 */
export function batchThatKeeps({ ids, points, shardKey }: PointsEntry, vectors: readonly string[]): string | undefined {
  const key = shardKey === undefined ? "" : `,"shard_key":${shardKey}`;
  const present = new Set<PointId>();
  const lacking = new Map<string, PointId[]>();
  for (const [index, point] of points.entries()) {
    // Ids that are no points any more come first.
    const id = ids[ids.length - points.length + index];
    if (id === undefined) continue;
    present.add(id);
    const names = vectorsOf(point);
    for (const name of vectors) if (!names.has(name)) lacking.set(name, [...(lacking.get(name) ?? []), id]);
  }
  const absent = ids.filter((id) => !present.has(id));
  const operations: string[] = [];
  if (points.length > 0) operations.push(`{"upsert":{"points":[${points.join(",")}]${key}}}`);
  for (const [name, without] of lacking) {
    operations.push(`{"delete_vectors":{"points":[${without.join(",")}],"vector":[${JSON.stringify(name)}]${key}}}`);
  }
  if (absent.length > 0) operations.push(`{"delete":{"points":[${absent.join(",")}]${key}}}`);
  return operations.length === 0 ? undefined : `{"operations":[${operations.join(",")}]}`;
}

/** The names of the vectors that a point has; that of the only one without a name is "". */
function vectorsOf(point: string): Set<string> {
  const scan = new JsonScan(Buffer.from(point));
  const names = new Set<string>();
  scan.members(scan.begin, (field, vector) => {
    if (field !== "vector") return;
    if (scan.isArray(vector)) names.add("");
    else if (scan.isObject(vector)) scan.members(vector, (name) => names.add(name));
  });
  return names;
}
