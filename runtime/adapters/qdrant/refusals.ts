/** What Qdrant answers when it does not do what it is asked. */
import type { IncomingMessage } from "node:http";
import { text } from "node:stream/consumers";
import { DrError, hasCode } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import { retry } from "../../time/retry.ts";

/** Why an answer did not come: the time was over. */
export class AnswerOverdue extends Error {}

/** Why a collection cannot be asked: the restore of a shard of it was killed, or failed. */
class HalfMadeShard extends Error {}

/** Why a collection cannot be made: there is one of the name. */
class NameTaken extends Error {}

/** Why nothing is answered of a collection or shard: the server knows none of this name. */
class NotFound extends Error {}

/** What Qdrant says of them: its answers have no codes. */
const timeoutWords = ["Timeout error: "];
const halfMadeWords = ["Dirty shard", "Failed to restore local replica"];
const takenWords = ["already exists"];

export function refused(status: number, text: string, what: string, cause?: unknown): DrError {
  if (status === 401 || status === 403) {
    return new DrError("ACCESS_DENIED", `Qdrant refuses the API key (${status}) for ${what}`, {
      hint: "check the key in the stack's outputs; capture needs rw on the collections, restore needs the full key",
      cause,
    });
  }
  return new DrError("QDRANT_REFUSED", `Qdrant answered ${status} for ${what}: ${text.slice(0, 300)}`, {
    cause: reasonIn(status, text, cause) ?? cause,
  });
}

function reasonIn(status: number, text: string, cause: unknown): Error | undefined {
  const isSaid = (words: readonly string[]) => words.some((each) => text.includes(each));
  // Before the time-out that it may have led to: no longer wait makes the shard whole.
  if (isSaid(halfMadeWords)) return new HalfMadeShard("a shard is half made", { cause });
  if (isSaid(timeoutWords)) return new AnswerOverdue("it gave up", { cause });
  if (isSaid(takenWords)) return new NameTaken("the name is taken", { cause });
  return status === 404 ? new NotFound("there is none of this name", { cause }) : undefined;
}

export async function refuseUnlessOk(answer: IncomingMessage, what: string): Promise<void> {
  const status = answer.statusCode ?? 0;
  if (status >= 200 && status < 300) return;
  throw refused(status, await text(answer), what);
}

export function isOverdue(error: unknown): boolean {
  return error instanceof DrError && error.cause instanceof AnswerOverdue;
}

export function isOfHalfMadeShard(error: unknown): boolean {
  return hasCode(error, "QDRANT_REFUSED") && error.cause instanceof HalfMadeShard;
}

export function isOfTakenName(error: unknown): boolean {
  return hasCode(error, "QDRANT_REFUSED") && error.cause instanceof NameTaken;
}

export function isNotFound(error: unknown): boolean {
  return hasCode(error, "QDRANT_REFUSED") && error.cause instanceof NotFound;
}

/** Asks again each time that the answer is overdue, and waits longer for it. */
export function insist<T>(
  clock: Clock,
  limitsMs: readonly number[],
  ask: (answerWithinMs: number) => Promise<T>,
): Promise<T> {
  const policy = { attempts: limitsMs.length, firstDelayMs: 0, isRetryable: isOverdue };
  return retry(clock, policy, (attempt) => ask(limitsMs[attempt - 1] ?? 0));
}
