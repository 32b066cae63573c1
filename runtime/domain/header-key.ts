/** A key that is sent in a header of a request: as a file or a variable holds it, with the line end that editors put there. */
import { z } from "zod";
import { DrError } from "../errors.ts";

/** Characters that every server accepts in a header, Qdrant among them (`HeaderValue::to_str`); servers read other bytes differently. */
const sendable = /^[\x20-\x7e]*$/;
const wanted = "letters, digits and signs of ASCII in one line: no request can carry another key";

/** As files of settings and shells write a text: no server was given a key with the quotes around it. */
const quoted = /^(["'`]).*\1$/;
const wantedBare = "the key alone, without the quotes around it";

/** `trim` takes the mark with it that editors put before a text (U+FEFF). */
export const headerKeySchema = z
  .string()
  .trim()
  .regex(sendable, wanted)
  .refine((key) => !quoted.test(key), wantedBare);

/**
 * @param name what the key was read from.
 * @throws SETTING_INVALID, which does not show the key.
 */
export function headerKey(text: string, name: string): string {
  const read = headerKeySchema.safeParse(text);
  if (read.success) return read.data;
  const hint = "give the key alone, in one line, as it was made";
  if (quoted.test(text.trim())) throw new DrError("SETTING_INVALID", `${name} stands in quotes`, { hint });
  const at = [...text.trim()].findIndex((character) => !sendable.test(character)) + 1;
  throw new DrError(
    "SETTING_INVALID",
    `${name} cannot be sent: its character ${at} is not one of ASCII's visible ones`,
    { hint },
  );
}
