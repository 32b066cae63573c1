/**
 * The record of a client that writes one numbered point at a time, and the arithmetic of a disaster on it. Times are
 * epoch milliseconds of the client's clock, taken when the answer was there.
 */
import { z } from "zod";
import { DrError } from "../../runtime/errors.ts";

const shared = { at: z.number(), collection: z.string(), id: z.int().nonnegative() };
const entrySchema = z.discriminatedUnion("kind", [
  z.object({ ...shared, kind: z.literal("acknowledged") }),
  z.object({ ...shared, kind: z.literal("readBack") }),
  z.object({ ...shared, kind: z.literal("failed"), error: z.string(), count: z.int().positive().optional() }),
]);

/**
 * `acknowledged`: the server said that the write is safe. `readBack`: it was found again, whole. `failed`: whether it
 * was written is unknown; of failures alike, one a second is recorded, and `count` says for how many it stands.
 */
export type WriteLogEntry = z.infer<typeof entrySchema>;

export interface AcknowledgedWrite {
  readonly id: number;
  readonly at: number;
}

export interface Outage {
  readonly rtoSeconds: number;
  /** When the first write of the new server was read back. */
  readonly servedAt: number;
}

/** Reads NDJSON. A last line without its end is that of a killed client, and ignored; throws OBJECT_CORRUPT otherwise. */
export function parseWriteLog(text: string): WriteLogEntry[] {
  const lines = text.split("\n");
  const unfinished = lines.pop() ?? "";
  const entries = lines.map((line, index) => parseLine(line, index + 1));
  // A line that is whole but for its line break counts: no part of an object is valid JSON.
  if (unfinished !== "" && isJson(unfinished)) entries.push(parseLine(unfinished, lines.length + 1));
  return entries;
}

/** The writes that the client knew to be safe at `time`, by collection, in the order of the log. */
export function acknowledgedBefore(log: readonly WriteLogEntry[], time: number): Map<string, AcknowledgedWrite[]> {
  const byCollection = new Map<string, AcknowledgedWrite[]>();
  for (const { kind, at, collection, id } of log) {
    if (kind !== "acknowledged" || at > time) continue;
    const writes = byCollection.get(collection);
    if (writes === undefined) byCollection.set(collection, [{ id, at }]);
    else writes.push({ id, at });
  }
  return byCollection;
}

/** The acknowledged writes of one collection that are not among the ids present in it. */
export function lostWrites<Write extends { readonly id: number }>(
  acknowledged: readonly Write[],
  present: Iterable<number>,
): Write[] {
  const there = new Set(present);
  return acknowledged.filter(({ id }) => !there.has(id));
}

/**
 * From `killedAt` to the first read-back of a write that was acknowledged after it; undefined if there is none.
 * `killedAt` is when the server was seen dead: before that, its last answers may still be on their way.
 */
export function measureOutage(log: readonly WriteLogEntry[], killedAt: number): Outage | undefined {
  const acknowledgedAfter = new Set<string>();
  for (const { kind, at, collection, id } of log) {
    if (at <= killedAt) continue;
    const write = JSON.stringify([collection, id]);
    if (kind === "acknowledged") acknowledgedAfter.add(write);
    if (kind === "readBack" && acknowledgedAfter.has(write)) {
      return { rtoSeconds: (at - killedAt) / 1000, servedAt: at };
    }
  }
  return undefined;
}

/** How far back the data is: from the oldest lost write to `killedAt`, in seconds; 0 if nothing was lost. */
export function recoveryPointSeconds(lost: readonly { readonly at: number }[], killedAt: number): number {
  return lost.reduce((seconds, { at }) => Math.max(seconds, (killedAt - at) / 1000), 0);
}

function parseLine(line: string, number: number): WriteLogEntry {
  const entry = isJson(line) ? entrySchema.safeParse(JSON.parse(line)) : undefined;
  if (entry?.success === true) return entry.data;
  throw new DrError("OBJECT_CORRUPT", `line ${number} of the write log is no entry: ${line.slice(0, 100)}`, {
    hint: "use the log as the writing client left it",
  });
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
