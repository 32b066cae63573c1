/** What a server answered, as what it should be: versions of it and what stands between may answer anything. */
import { z } from "zod";
import { DrError } from "../errors.ts";
import { isHtml } from "./in-its-place.ts";

/**
 * @param what the question, for people.
 * @throws ANSWER_UNREADABLE, which names the question and the field.
 */
export function readAnswer<T>(schema: z.ZodType<T>, answer: unknown, what: string): T {
  const { data, error } = schema.safeParse(answer);
  if (error === undefined) return data;
  throw unreadable(what, z.prettifyError(error).replaceAll(/\s+/g, " "), error);
}

/**
 * The same of an answer that is still text.
 *
 * @param parse `parseExactly` where clients choose a number.
 */
export function readJsonAnswer<T>(
  schema: z.ZodType<T>,
  text: string,
  what: string,
  parse: (text: string) => unknown = (text) => JSON.parse(text),
): T {
  let answer: unknown;
  try {
    answer = parse(text);
  } catch (cause) {
    if (isHtml(text)) throw unreadable(what, "it is a page of a proxy or of another server, which stands there", cause);
    throw unreadable(what, `no JSON, but ${JSON.stringify(text.slice(0, 100))}`, cause);
  }
  return readAnswer(schema, answer, what);
}

function unreadable(what: string, reason: string, cause: unknown): DrError {
  return new DrError("ANSWER_UNREADABLE", `the answer to ${what} cannot be read: ${reason.slice(0, 300)}`, {
    hint: "check that it comes from the server itself, in a version that this release knows",
    cause,
  });
}
