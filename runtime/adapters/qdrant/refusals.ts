/** What Qdrant answers when it does not do what it is asked. */
import type { IncomingMessage } from "node:http";
import { text } from "node:stream/consumers";
import { oneLine } from "../../domain/one-line.ts";
import { DrError, hasCode } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import { retry } from "../../time/retry.ts";
import { isHtml, PassingRefusal, refusedByProxy, tooManyRequests } from "../in-its-place.ts";

/** Why an answer did not come: the time was over. */
export class AnswerOverdue extends Error {}

/** Why a collection cannot be asked: the restore of a shard of it was killed, or failed. */
class HalfMadeShard extends Error {}

/** Why a collection cannot be made: there is one of the name. */
class NameTaken extends Error {}

/** Why nothing is answered of a collection or shard: the server knows none of this name. */
class NotFound extends Error {}

/** Why what is asked can never be done: it does not fit to what is there. */
class WrongInput extends Error {}

/** What Qdrant says of them: its answers have no codes. */
const timeoutWords = ["Timeout error: "];
const halfMadeWords = ["Dirty shard", "Failed to restore local replica"];
const takenWords = ["already exists"];

/** Why the key does not let a request through: which right it lacks. */
class RightMissing extends Error {}

/** An answer that says no. */
export interface Refusal {
  readonly status: number;
  readonly text: string;
  /** The request, for people. */
  readonly what: string;
  /** Where it was sent. */
  readonly url?: string | undefined;
  readonly server?: string | undefined;
  readonly retryAfter?: string | undefined;
  readonly cause?: unknown;
}

export function refused(refusal: Refusal): DrError {
  const { cause, retryAfter, status, text, url, what } = refusal;
  const isOfQdrant = isAnswerOfQdrant(text);
  const isPlain = !isHtml(text);
  if ((status === 401 || status === 403) && isPlain) return keyRefused(refusal);
  const asked = url === undefined ? "Qdrant" : `Qdrant at ${url}`;
  // Of what Qdrant does not have at all, it says nothing.
  const isOthersNotFound = status === 404 && text.trim() !== "";
  const isOthers = isOthersNotFound || [407, 413, 429].includes(status) || status > 500 || !isPlain;
  if (!isOfQdrant && isOthers) {
    return refusedByProxy(asked, what, { ...refusal, text });
  }
  // Where Qdrant names no wait, the request asks for more at once than a minute allows. The wait that it names is that of one asker
  // among others: delays that grow do better.
  if (status === 429 && retryAfter !== undefined) {
    return tooManyRequests(`Qdrant answered 429 for ${what}`, new PassingRefusal(429, undefined, cause));
  }
  return new DrError("QDRANT_REFUSED", `Qdrant answered ${status} for ${what}: ${text.slice(0, 300)}`, {
    cause: reasonIn(status, text, cause) ?? cause,
  });
}

/**
 * Its errors are JSON with a status; where it would have streamed, they are the same words as plain text (1.16: `StorageError`). What
 * stands before it knows neither form.
 */
function isAnswerOfQdrant(text: string): boolean {
  return (/^\s*\{/.test(text) && text.includes('"status"')) || plainWords.test(text);
}

const plainWords =
  /^(Not found|Wrong input|Bad request|Service internal error|Locked|Forbidden|Timeout error|Checksum mismatch|Pre-condition failure): /;

const fullRights =
  'captures, restores and replication need the full API key, or a token with manage access to everything (`access: "m"`)';

/** What Qdrant says of a key, in words that say what is missing. */
function keyRefused({ cause, status, text, what }: Refusal): DrError {
  const right = /((?:\w+ )*access(?: to collection .{1,255}?)?) is required/i.exec(text)?.[1];
  const refusal = (problem: string, hint: string) =>
    new DrError("ACCESS_DENIED", `Qdrant refuses the API key (${status}) for ${what}: ${problem}`, {
      hint,
      cause: right === undefined ? cause : new RightMissing(right, { cause }),
    });
  if (right !== undefined) return refusal(`it lacks a right: ${right}`, fullRights);
  if (/expired/i.test(text)) return refusal("it is a token that has expired", "give one that is still valid");
  if (/must provide/i.test(text))
    return refusal("none was given", "give the key of this Qdrant; an empty one is no key");
  if (/invalid (api key|jwt)/i.test(text) || saidIn(text) === "")
    return refusal("this Qdrant knows no such key", `give the one that it was started with; ${fullRights}`);
  return refusal(
    saidIn(text),
    `a gate or a proxy may stand before it: name Qdrant's own address, with its own key; ${fullRights}`,
  );
}

/** The words of an answer that refuses, without what is around them. */
function saidIn(text: string): string {
  const said = /"error"\s*:\s*"([^"]{1,300})/.exec(text)?.[1] ?? text;
  return oneLine(said, 300);
}

function reasonIn(status: number, text: string, cause: unknown): Error | undefined {
  const isSaid = (words: readonly string[]) => words.some((each) => text.includes(each));
  // Before the time-out that it may have led to: no longer wait makes the shard whole.
  if (isSaid(halfMadeWords)) return new HalfMadeShard("a shard is half made", { cause });
  if (isSaid(timeoutWords)) return new AnswerOverdue("it gave up", { cause });
  if (isSaid(takenWords)) return new NameTaken("the name is taken", { cause });
  if ((status === 400 || status === 422) && isAnswerOfQdrant(text)) return new WrongInput("it does not fit", { cause });
  const isNone = status === 404 && isAnswerOfQdrant(text);
  return isNone ? new NotFound("there is none of this name", { cause }) : undefined;
}

export async function refuseUnlessOk(answer: IncomingMessage, what: string): Promise<void> {
  const status = answer.statusCode ?? 0;
  if (status >= 200 && status < 300) return;
  const header = (name: string) => [answer.headers[name]].flat()[0];
  const [server, retryAfter] = [header("server"), header("retry-after")];
  throw refused({ status, text: await text(answer), what, server, retryAfter });
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

/** Whether a key was refused for a right that it lacks, not because nobody knows it. */
export function lacksRight(error: unknown): boolean {
  return hasCode(error, "ACCESS_DENIED") && error.cause instanceof RightMissing;
}

export function isWrongInput(error: unknown): boolean {
  return hasCode(error, "QDRANT_REFUSED") && error.cause instanceof WrongInput;
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
