import { retry } from "../runtime/time/retry.ts";
import { systemClock } from "../runtime/time/system-clock.ts";
import { waitUntil } from "../runtime/time/wait-until.ts";

/** Graphs of the largest collections are built in a fraction of it. */
const longestMs = 2 * 60 * 60_000;

export interface QdrantAddress {
  readonly url: string;
  readonly apiKey: string;
}

/** A request to Qdrant outside of what is measured. A connection that the server closed just then is no failure. */
export async function call(server: QdrantAddress, method: string, path: string, body?: unknown): Promise<unknown> {
  const policy = {
    attempts: 5,
    firstDelayMs: 200,
    factor: 1,
    isRetryable: (error: unknown) => error instanceof TypeError,
  };
  return retry(systemClock, policy, () => callOnce(server, method, path, body));
}

/** Returns when the collection's status has been this one so many times in a row. */
export async function untilStatus(
  server: QdrantAddress,
  collection: string,
  wanted: "green" | "yellow",
  { everyMs, times = 1 }: { readonly everyMs: number; readonly times?: number },
): Promise<void> {
  let seen = 0;
  await waitUntil(systemClock, { what: `${collection} to be ${wanted}`, withinMs: longestMs, everyMs }, async () => {
    const { status } = (await call(server, "GET", `/collections/${collection}`)) as { status: string };
    seen = status === wanted ? seen + 1 : 0;
    return seen === times;
  });
}

async function callOnce(server: QdrantAddress, method: string, path: string, body?: unknown): Promise<unknown> {
  const answer = await fetch(`${server.url}${path}`, {
    method,
    headers: { "api-key": server.apiKey, "content-type": "application/json" },
    ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`Qdrant answered ${answer.status} to ${method} ${path}: ${text.slice(0, 300)}`);
  return (JSON.parse(text) as { result: unknown }).result;
}
