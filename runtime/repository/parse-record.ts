import type { z } from "zod";
import { DrError } from "../errors.ts";

/**
 * Parses what was read from a store. Throws OBJECT_CORRUPT naming the object: it is not what this tool writes.
 *
 * @param parse `parseExactly` where it holds what clients chose.
 */
export function parseRecord<T>(
  schema: z.ZodType<T>,
  key: string,
  bytes: Uint8Array,
  parse: (text: string) => unknown = (text) => JSON.parse(text),
): T {
  try {
    return schema.parse(parse(Buffer.from(bytes).toString("utf8")));
  } catch (cause) {
    throw new DrError("OBJECT_CORRUPT", `${key} does not hold what this version writes there`, {
      hint: "it was changed, or a newer version wrote it",
      cause,
    });
  }
}
