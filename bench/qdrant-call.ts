import { setTimeout as sleep } from "node:timers/promises";

export interface QdrantAddress {
  readonly url: string;
  readonly apiKey: string;
}

/** A request to Qdrant outside of what is measured. A connection that the server closed just then is no failure. */
export async function call(server: QdrantAddress, method: string, path: string, body?: unknown): Promise<unknown> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await callOnce(server, method, path, body);
    } catch (error) {
      if (!(error instanceof TypeError) || attempt === 5) throw error;
      await sleep(200);
    }
  }
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
