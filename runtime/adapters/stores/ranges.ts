/** What every store refuses alike: an object that is missing, and a range that comes short. */
import { DrError } from "../../errors.ts";

export function objectNotFound(key: string, cause?: unknown): DrError {
  return new DrError("OBJECT_NOT_FOUND", `there is no object ${key}`, { cause });
}

/** A range that reaches beyond the object means that the object is not what its reader thinks. */
export function wholeRange(
  key: string,
  bytes: Buffer,
  range: { readonly offset: number; readonly length: number },
): Buffer {
  if (bytes.length === range.length) return bytes;
  throw new DrError(
    "OBJECT_CORRUPT",
    `${key} has only ${bytes.length} of the ${range.length} bytes at ${range.offset}`,
  );
}
