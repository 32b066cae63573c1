/** JSON in records, its numbers as they were written. */
import { z } from "zod";
import { type ExactJson, isExactJson, isRecord } from "./exact-json.ts";

export const exactValue = z.custom<ExactJson>(isExactJson, "not JSON");

/** An object. With `z.record` a member that is called `__proto__` would be lost. */
export const exactRecord = z.custom<Record<string, ExactJson>>(
  (value) => isRecord(value) && isExactJson(value),
  "not an object of JSON",
);
