/**
 * A writer that never stops: batches of new points into several collections through the public endpoint, with `wait=true`.
 * Says each batch that was acknowledged as a line of JSON, and reads back the first one after a failure. Reads its order as
 * JSON from standard input; run by `failover.ts`, ended by SIGTERM.
 */
import { json } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { writtenPoint } from "./written-point.ts";

export interface FailoverWriterOrder {
  readonly url: string;
  readonly apiKey: string;
  readonly collections: readonly string[];
  readonly dimensions: number;
  readonly firstId: number;
  readonly pointsPerSecond: number;
}

/** Points `first` to `first + count - 1` were acknowledged, and after a failure also read back. */
export interface AcknowledgedBatch {
  readonly at: number;
  readonly collection: string;
  readonly first: number;
  readonly count: number;
  readonly isReadBack: boolean;
}

const batch = 50;
const timeoutMs = 3_000;
const pauseAfterFailureMs = 50;

const order = (await json(process.stdin)) as FailoverWriterOrder;
let isStopped = false;
process.once("SIGTERM", () => {
  isStopped = true;
});
const everyMs = (1000 * batch * order.collections.length) / order.pointsPerSecond;
await Promise.all(order.collections.map((collection, writer) => write(collection, writer)));

async function write(collection: string, writer: number): Promise<void> {
  let due = performance.now() + (everyMs * writer) / order.collections.length;
  let isAfterFailure = false;
  for (let first = order.firstId; !isStopped; first += batch) {
    await sleep(Math.max(0, due - performance.now()));
    due = Math.max(due + everyMs, performance.now() - everyMs);
    try {
      const points = Array.from({ length: batch }, (_, n) => writtenPoint(first + n, order.dimensions));
      await send(collection, "PUT", "points?wait=true", { points });
      if (isAfterFailure) await send(collection, "GET", `points/${first}`);
      const said: AcknowledgedBatch = { at: Date.now(), collection, first, count: batch, isReadBack: isAfterFailure };
      process.stdout.write(`${JSON.stringify(said)}\n`);
      isAfterFailure = false;
    } catch {
      // Whether it was written is unknown, and stays so: the numbers are not used again.
      isAfterFailure = true;
      await sleep(pauseAfterFailureMs);
    }
  }
}

async function send(collection: string, method: string, path: string, body?: object): Promise<void> {
  const answer = await fetch(`${order.url}/collections/${collection}/${path}`, {
    method,
    headers: { "api-key": order.apiKey, "content-type": "application/json" },
    signal: AbortSignal.timeout(timeoutMs),
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${answer.status}: ${text.slice(0, 200)}`);
}
