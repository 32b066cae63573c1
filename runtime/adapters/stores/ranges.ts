/** What every store refuses alike: an object that is missing or too large, and a range that comes short. */
import { DrError } from "../../errors.ts";
import type { ReadRequest } from "../../ports/object-store.ts";

export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

/** The part that is asked for; undefined when all of the object is. */
export function rangeOf({ length, offset }: ReadRequest = {}): ByteRange | undefined {
  if (length === undefined && offset === undefined) return undefined;
  if (length === undefined) throw new Error("a part of an object has a length");
  return { offset: offset ?? 0, length };
}

export function objectNotFound(key: string, cause?: unknown): DrError {
  return new DrError("OBJECT_NOT_FOUND", `there is no object ${key}`, { cause });
}

/** A range that reaches beyond the object means that the object is not what its reader thinks. */
export function wholeRange(key: string, bytes: Buffer, range: ByteRange): Buffer {
  if (bytes.length === range.length) return bytes;
  throw new DrError(
    "OBJECT_CORRUPT",
    `${key} has only ${bytes.length} of the ${range.length} bytes at ${range.offset}`,
  );
}

/** Who can write to a store can put an object there that no memory holds: it counts as one that cannot be read. */
export function refuseIfLarger(key: string, size: number, mostBytes = Number.POSITIVE_INFINITY): void {
  if (size <= mostBytes) return;
  throw new DrError("OBJECT_CORRUPT", `${key} has ${size} bytes, and such an object has at most ${mostBytes}`, {
    hint: "this tool did not write it: see in the store's access log who did",
  });
}
