/** One request to the control address of a process of ours, and its whole answer. Throws UNREACHABLE when none comes. */
import { DrError } from "../errors.ts";

export interface ControlRequest {
  readonly url: string;
  readonly token: string;
  readonly method: "GET" | "POST" | "PUT";
  readonly body?: string | undefined;
  readonly timeoutMs: number;
  /** Who is asked, and what to do when it does not answer. */
  readonly what: string;
  readonly hint: string;
}

export async function requestControl({
  body,
  hint,
  method,
  timeoutMs,
  token,
  url,
  what,
}: ControlRequest): Promise<{ readonly isOk: boolean; readonly status: number; readonly text: string }> {
  try {
    const answer = await fetch(url, {
      method,
      headers: { authorization: `Bearer ${token}` },
      // A redirect would send the token to another server.
      redirect: "manual",
      signal: AbortSignal.timeout(timeoutMs),
      ...(body === undefined ? {} : { body }),
    });
    return { isOk: answer.ok, status: answer.status, text: await answer.text() };
  } catch (cause) {
    throw new DrError("UNREACHABLE", `${what} at ${url} does not answer`, { hint, cause });
  }
}
