import { z } from "zod";
import { bytes, listOf, recoveryPointId } from "../shared/fields.ts";

const key = z.string().describe("key of the object in the repository store");

export const healAnswer = z.strictObject({
  healed: listOf(
    z.strictObject({
      key,
      place: z.string().describe("where the good object is: the key itself when it was missing"),
      size: bytes,
    }),
  ).describe("objects that were damaged or missing, and are not any more"),
  unhealed: listOf(z.strictObject({ key, because: z.string() })).describe("what could not be healed, and why"),
  released: listOf(recoveryPointId).describe("recovery points that were quarantined for it, and were read whole since"),
  quarantined: listOf(recoveryPointId).describe("recovery points that need what could not be healed"),
});
export type HealAnswer = z.infer<typeof healAnswer>;
