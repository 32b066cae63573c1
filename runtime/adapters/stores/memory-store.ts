/** The reference implementation of `ObjectStore`: says by being simple what the others must do. */
import { DrError } from "../../errors.ts";
import type { ObjectStore, StoredObject } from "../../ports.ts";

export class MemoryStore implements ObjectStore {
  readonly objects = new Map<string, Buffer>();

  async get(key: string, range?: { readonly offset: number; readonly length: number }): Promise<Buffer> {
    const bytes = this.objects.get(key);
    if (bytes === undefined) throw objectNotFound(key);
    return range === undefined
      ? Buffer.from(bytes)
      : wholeRange(key, bytes.subarray(range.offset, range.offset + range.length), range);
  }

  async *list(prefix: string): AsyncGenerator<StoredObject> {
    for (const key of [...this.objects.keys()].filter((candidate) => candidate.startsWith(prefix)).sort()) {
      const bytes = this.objects.get(key);
      if (bytes !== undefined) yield { key, size: bytes.length };
    }
  }

  async create(key: string, bytes: Uint8Array): Promise<"created" | "exists"> {
    if (this.objects.has(key)) return "exists";
    this.objects.set(key, Buffer.from(bytes));
    return "created";
  }
}

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
