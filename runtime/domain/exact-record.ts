import { z } from "zod";
import { type ExactJson, isExactJson, isRecord } from "./exact-json.ts";

/** An object of JSON, its numbers as they were written. With `z.record` a member that is called `__proto__` would be lost. */
export const exactRecord = z.custom<Record<string, ExactJson>>(
  (value) => isRecord(value) && isExactJson(value),
  "not an object of JSON",
);
