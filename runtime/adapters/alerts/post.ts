/** One request to a URL that is a secret: nothing that is thrown shows it. */
import { DrError } from "../../errors.ts";

const patienceMs = 10_000;

/** Returns when the answer is 2xx. Throws UNREACHABLE. */
export async function callSecretUrl(
  url: string,
  { body, signal, what }: { readonly body?: object; readonly signal?: AbortSignal | undefined; readonly what: string },
): Promise<void> {
  const timeout = AbortSignal.timeout(patienceMs);
  let status: number;
  try {
    const answer = await fetch(url, {
      method: body === undefined ? "GET" : "POST",
      // A redirect would send what is told to another server.
      redirect: "manual",
      signal: signal === undefined ? timeout : AbortSignal.any([timeout, signal]),
      ...(body === undefined ? {} : { headers: { "content-type": "application/json" }, body: JSON.stringify(body) }),
    });
    await answer.body?.cancel();
    status = answer.status;
  } catch (error) {
    signal?.throwIfAborted();
    // The error names the URL, also in its cause.
    throw new DrError("UNREACHABLE", `${what} does not answer (${reasonOf(error)})`, { hint: unreachableHint });
  }
  if (status < 200 || status > 299) {
    throw new DrError("UNREACHABLE", `${what} answered ${status}`, { hint: unreachableHint });
  }
}

const unreachableHint = "check the URL, and whether this machine may reach it";

function reasonOf(error: unknown): string {
  if (error instanceof Error && error.name === "TimeoutError") return "timed out";
  const cause = error instanceof Error ? (error.cause as { code?: unknown } | undefined) : undefined;
  return typeof cause?.code === "string" ? cause.code : "no connection";
}
