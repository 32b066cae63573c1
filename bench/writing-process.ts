/**
 * A process of its own that writes to several collections and counts what is acknowledged. Reads its order as JSON from
 * standard input; run by `standby-lag.ts`.
 */
import { json } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { writtenPoint } from "./written-point.ts";

export interface WritingOrder {
  readonly url: string;
  readonly apiKey: string;
  readonly collections: readonly string[];
  readonly dimensions: number;
  /** Ids from here on are new in every collection. */
  readonly firstId: number;
  readonly seconds: number;
  /** Over all collections; as many as are taken when left out. */
  readonly pointsPerSecond?: number;
}

export interface WritingResult {
  readonly points: number;
  readonly seconds: number;
  readonly milliseconds: readonly number[];
  /** Points that were acknowledged in each second. */
  readonly perSecond: readonly number[];
}

const batch = 50;
/** Every so often some old points are overwritten, and others deleted: they lie in large segments. */
const oldEveryMs = 4_000;
const oldAtOnce = 20;

const order = (await json(process.stdin)) as WritingOrder;
const milliseconds: number[] = [];
const perSecond = Array.from({ length: Math.ceil(order.seconds) }, () => 0);
let points = 0;
const begun = performance.now();
const until = begun + order.seconds * 1000;
await Promise.all(order.collections.map((collection, writer) => write(collection, writer)));
const seconds = (performance.now() - begun) / 1000;
process.stdout.write(JSON.stringify({ points, seconds, milliseconds, perSecond } satisfies WritingResult));

async function write(collection: string, writer: number): Promise<void> {
  const { collections, firstId, pointsPerSecond } = order;
  const everyMs = pointsPerSecond === undefined ? 0 : (1000 * batch * collections.length) / pointsPerSecond;
  let next = firstId;
  let due = begun + (everyMs * writer) / collections.length;
  let oldDue = begun + (oldEveryMs * writer) / collections.length;
  while (performance.now() < until) {
    if (performance.now() >= oldDue) {
      oldDue += oldEveryMs;
      const old = (turn: number) =>
        Array.from({ length: oldAtOnce }, (_, n) => 1 + ((next * turn + n * 7_919) % firstId));
      await send(collection, "PUT", "points", { points: old(13).map(point) });
      await send(collection, "POST", "points/delete", { points: old(29) });
    }
    await send(collection, "PUT", "points", { points: Array.from({ length: batch }, (_, n) => point(next + n)) });
    next += batch;
    points += batch;
    const second = Math.floor((performance.now() - begun) / 1000);
    if (second < perSecond.length) perSecond[second] = (perSecond[second] ?? 0) + batch;
    due += everyMs;
    const pause = due - performance.now();
    if (pause > 0) await sleep(pause);
  }
}

function point(id: number) {
  return writtenPoint(id, order.dimensions, { text: `document ${id}` });
}

async function send(collection: string, method: string, path: string, body: object): Promise<void> {
  const from = performance.now();
  const answer = await fetch(`${order.url}/collections/${collection}/${path}?wait=true`, {
    method,
    headers: { "api-key": order.apiKey, "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`Qdrant answered ${answer.status}: ${(await answer.text()).slice(0, 300)}`);
  await answer.arrayBuffer();
  milliseconds.push(performance.now() - from);
}
