/** Fields that several commands answer with, described once. */
import { z } from "zod";
import { dataKinds } from "../../domain/recovery-points/recovery-point.ts";

export const listOf = <Item extends z.ZodType>(item: Item) => z.array(item).readonly();

export const recoveryPointId = z.string().describe("id of the recovery point");
export const time = z.string().describe("ISO 8601, UTC");
export const seconds = z.number().describe("seconds");
export const bytes = z.number().describe("bytes");
export const count = z.number().int();
export const kind = z.enum(dataKinds).describe("kind of data");
export const gateMode = z
  .enum(["availability", "consistency"])
  .describe("what a guard does that cannot see the other region");

/** What a recovery point lacks. */
export const missingPart = z.strictObject({
  kind,
  name: z.string().describe("of the collection, or of the folder"),
  path: z.string().optional().describe("the entry of the folder; absent: all of it"),
  code: z.string().describe("error code"),
  because: z.string(),
  hint: z.string().optional().describe("what to do about it"),
  heldAsOf: time.optional().describe("the recovery point holds it as it was captured then; absent: not at all"),
});

/** A step of a failover or of the quickstart, as it went. */
export const timedStep = z.strictObject({
  name: z.string().describe("stable name of the step"),
  title: z.string(),
  startedAt: time,
  seconds,
  detail: z.string().describe("what came out of it, in words"),
});
