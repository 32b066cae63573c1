/**
 * What is believed, as a comment in the files of keys: whoever has such a file alone, with the settings lost, can open what the
 * store holds. It says nothing secret.
 */
import { z } from "zod";
import { type Trust, trustedKeySchema, trustIdSchema } from "./trust.ts";

const start = "# trust: ";
const noteSchema = z.strictObject({ id: trustIdSchema, keys: z.array(trustedKeySchema).min(1) });

export function trustNote({ id, keys }: Trust): string {
  return start + JSON.stringify({ id, keys });
}

/** Undefined when the text has none, or one that was changed by hand and is none any more. */
export function trustIn(text: string): Trust | undefined {
  const line = text.split("\n").find((each) => each.startsWith(start));
  if (line === undefined) return undefined;
  try {
    return noteSchema.parse(JSON.parse(line.slice(start.length)));
  } catch {
    return undefined;
  }
}
