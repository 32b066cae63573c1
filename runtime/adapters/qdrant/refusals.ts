/** What Qdrant answers when it does not do what it is asked. */
import type { IncomingMessage } from "node:http";
import { text } from "node:stream/consumers";
import { DrError, hasCode } from "../../errors.ts";

/** Why an answer did not come: the time was over. */
export class AnswerOverdue extends Error {}

export function refused(status: number, text: string, what: string, cause?: unknown): DrError {
  if (status === 401 || status === 403) {
    return new DrError("ACCESS_DENIED", `Qdrant refuses the API key (${status}) for ${what}`, {
      hint: "check the key in the stack's outputs; capture needs rw on the collections, restore needs the full key",
      cause,
    });
  }
  return new DrError("QDRANT_REFUSED", `Qdrant answered ${status} for ${what}: ${text.slice(0, 300)}`, {
    cause: text.includes("Timeout error: ") ? new AnswerOverdue("it gave up", { cause }) : cause,
  });
}

export async function refuseUnlessOk(answer: IncomingMessage, what: string): Promise<void> {
  const status = answer.statusCode ?? 0;
  if (status >= 200 && status < 300) return;
  throw refused(status, await text(answer), what);
}

export function isOverdue(error: unknown): boolean {
  return error instanceof DrError && error.cause instanceof AnswerOverdue;
}

/** What Qdrant says of a shard whose restore was killed, and of one whose restore failed. */
const ofHalfMadeShards = ["Dirty shard", "Failed to restore local replica"];

export function isOfHalfMadeShard(error: unknown): boolean {
  return hasCode(error, "QDRANT_REFUSED") && ofHalfMadeShards.some((words) => error.message.includes(words));
}

/** Asks again each time that the answer is overdue. */
export async function insist<T>(limitsMs: readonly number[], ask: (answerWithinMs: number) => Promise<T>): Promise<T> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await ask(limitsMs[attempt] ?? 0);
    } catch (error) {
      if (!isOverdue(error) || attempt === limitsMs.length - 1) throw error;
    }
  }
}
