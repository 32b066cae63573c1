import type { z } from "zod";
import type { CheckFailure, Inputs } from "./resource-kind.ts";

/** What is wrong with inputs, by property. Values that are not known in a preview are not judged. */
export function checkInputs(schema: z.ZodType, inputs: Inputs): CheckFailure[] {
  if (JSON.stringify(inputs).includes(unknownValue)) return [];
  const result = schema.safeParse(inputs);
  if (result.success) return [];
  return result.error.issues.map(({ message, path }) => ({ property: path.join("."), reason: message }));
}

/** Stands for a value that a preview cannot know (pulumi sdk/go/common/resource/plugin/rpc.go). */
const unknownValue = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";
