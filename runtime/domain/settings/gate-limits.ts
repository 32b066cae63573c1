/** What a gate takes of clients, in settings files and stacks alike. */
import { z } from "zod";

export const gateLimitsSchema = z.strictObject({
  connections: z
    .number()
    .int()
    .min(1)
    .max(100_000)
    .default(2_000)
    .describe("connections of clients at once, on each port; who comes later is not taken"),
  bodyMegabytes: z
    .number()
    .int()
    .min(1)
    .max(4_096)
    .default(256)
    .describe("longest request of a client; an administrator's has no limit"),
  answerWithinSeconds: z
    .number()
    .min(1)
    .optional()
    .describe("a client is told when Qdrant has not answered by then; when left out, it waits as long as Qdrant does"),
});
export type GateLimits = z.infer<typeof gateLimitsSchema>;

export const otherKeysDescription =
  "what becomes of other keys and tokens: `refuse`, or `pass` them on to Qdrant, which knows their rights (its read-only key, JWTs); they never give an administrator's";

export function gateLimitVariables({ answerWithinSeconds, bodyMegabytes, connections }: GateLimits) {
  return {
    QDRANT_DR_GATE_CONNECTIONS: connections,
    QDRANT_DR_GATE_BODY_BYTES: bodyMegabytes * 1024 * 1024,
    QDRANT_DR_GATE_ANSWER_WITHIN_SECONDS: answerWithinSeconds,
  };
}
