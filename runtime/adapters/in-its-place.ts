/** Who answered, when it was not the server that was asked: what stands before servers answers in their place when it cannot reach them, or will not. */
import { DrError } from "../errors.ts";

/** Why an answer did not come now, and may come soon: nothing was done. */
export class PassingRefusal extends Error {
  readonly status: number;
  /** So long it asks to wait. */
  readonly retryAfterMs: number | undefined;
  /** It was waited for, and did not pass. */
  hasLasted = false;

  constructor(status: number, retryAfterMs: number | undefined, cause?: unknown) {
    super(`answered ${status}`, { cause });
    this.status = status;
    this.retryAfterMs = retryAfterMs;
  }
}

export interface GivenAnswer {
  readonly status: number;
  /** Its whole text, or the begin of it. */
  readonly text: string;
  /** Of its headers, where they are known. */
  readonly server?: string | undefined;
  readonly retryAfter?: string | undefined;
  readonly cause?: unknown;
}

/** Answers of a proxy that cannot reach the server, or has no place for the request. */
const cannotReach = [502, 503, 504, 521, 522, 523, 524];

/**
 * What a proxy says in a server's place, as the error that it is.
 * @param asked the server, for people: "Qdrant at http://…", "bucket …".
 * @param what the request, for people.
 */
export function refusedByProxy(asked: string, what: string, answer: GivenAnswer): DrError {
  const { retryAfter, status } = answer;
  const who = `${answererOf(answer)} answered ${status} for ${what} in the place of ${asked}`;
  const passing = new PassingRefusal(status, delayIn(retryAfter), answer.cause);
  if (cannotReach.includes(status)) {
    return new DrError("UNREACHABLE", `${who}: it does not get an answer from there`, {
      hint: "see that the server runs, and that the proxy or load balancer before it leads there; then run it again",
      cause: passing,
    });
  }
  if (status === 429) return tooManyRequests(who, passing);
  if (status === 401 || status === 403 || status === 407) {
    return new DrError("ACCESS_DENIED", `${who}: it does not let the request through`, {
      hint:
        status === 407
          ? "give the proxy's user and password in its URL, in HTTPS_PROXY or HTTP_PROXY"
          : "ask whoever runs the proxy or the sign-in page before the server to let this machine through, or name the server's own address",
      cause: answer.cause,
    });
  }
  const hint =
    status === 413
      ? "let the proxy take larger bodies (nginx: client_max_body_size 0), or name the server's own address"
      : "see what the proxy before the server allows, or name the server's own address";
  return new DrError("PROXY_REFUSED", who, { hint, cause: answer.cause });
}

export function tooManyRequests(who: string, passing: PassingRefusal): DrError {
  return new DrError("TOO_MANY_REQUESTS", `${who}: too many requests`, {
    hint: "let fewer clients ask at once, or allow this machine more; then run it again",
    cause: passing,
  });
}

/** The name that it gives itself; that it is not the server, its answer shows. */
function answererOf({ server, text }: GivenAnswer): string {
  const title = /<title>([^<]{1,80})<\/title>/i.exec(text)?.[1]?.trim();
  const named = [server, title].filter((name) => name !== undefined && name !== "").join(", ");
  return named === "" ? "a proxy" : `a proxy (${printable(named)})`;
}

export function isHtml(text: string): boolean {
  return /^\s*<(!doctype|html|head|body|h1|title|center)\b/i.test(text);
}

/** `Retry-After` in seconds; a date would be by the clock of who answers. */
function delayIn(retryAfter: string | undefined): number | undefined {
  if (retryAfter === undefined || !/^\s*\d{1,6}\s*$/.test(retryAfter)) return undefined;
  return Number(retryAfter) * 1000;
}

function printable(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/g, "?").slice(0, 120);
}
