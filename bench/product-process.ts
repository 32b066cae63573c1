/**
 * A process of its own that does one thing as the product does it, and says what it cost. Reads its order as JSON from
 * standard input; run by `product.ts`.
 */

import { subscribe } from "node:diagnostics_channel";
import { readFileSync } from "node:fs";
import type { ClientRequest } from "node:http";
import { json } from "node:stream/consumers";
import { Qdrant } from "../runtime/adapters/qdrant/qdrant.ts";
import type { QdrantAddress } from "../runtime/adapters/qdrant/qdrant-peers.ts";
import { RegionAccess } from "../runtime/composition/region-access.ts";
import { resolveLatestRestorable } from "../runtime/domain/recovery-points/catalog.ts";
import type { CaptureType } from "../runtime/domain/recovery-points/recovery-point.ts";
import type { Region } from "../runtime/domain/region.ts";
import { readCatalog } from "../runtime/repository/catalog/read-catalog.ts";
import { systemClock } from "../runtime/time/system-clock.ts";
import { waitUntil } from "../runtime/time/wait-until.ts";
import { captureRecoveryPoint } from "../runtime/workflows/capture/capture-recovery-point.ts";
import type { CaptureReport } from "../runtime/workflows/capture/capture-report.ts";
import { restoreRecoveryPoint } from "../test/support/estates/restore-recovery-point.ts";

export type Order =
  | { readonly action: "capture"; readonly region: Region; readonly type: CaptureType }
  | { readonly action: "restore"; readonly region: Region; readonly target: QdrantAddress };

export interface ProcessResult {
  /** Of the workflow alone. */
  readonly seconds: number;
  readonly peakRssMiB: number;
  /** Of the whole process. */
  readonly cpuSeconds: number;
  readonly requests: { readonly qdrant: number; readonly store: number };
  readonly capture?: CaptureReport;
  /** Until every collection of the target was green. */
  readonly greenSeconds?: number;
}

const clock = systemClock;
const progress = () => undefined;
const order = (await json(process.stdin)) as Order;
const requests = countRequests(order.action === "restore" ? order.target : order.region.qdrant);
const access = new RegionAccess(order.region);
const begun = performance.now();
const since = () => (performance.now() - begun) / 1000;
const done = order.action === "capture" ? await capture(order) : await restore(order);
const peakRssMiB = Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync("/proc/self/status", "utf8"))?.[1]) / 1024;
const { user, system } = process.cpuUsage();
const cpuSeconds = (user + system) / 1e6;
process.stdout.write(JSON.stringify({ ...done, peakRssMiB, cpuSeconds, requests } satisfies ProcessResult));

async function capture({ region, type }: Extract<Order, { action: "capture" }>) {
  const report = await captureRecoveryPoint({
    region: region.region,
    type,
    database: access.database,
    repository: await access.repositoryForWriting(),
    clock,
    progress,
    toolVersion: "bench",
  });
  return { seconds: since(), capture: report };
}

async function restore({ target: address }: Extract<Order, { action: "restore" }>) {
  const repository = await access.repository();
  const recoveryPoint = resolveLatestRestorable((await readCatalog(repository)).entries)?.recoveryPoint;
  if (recoveryPoint === undefined) throw new Error("no recovery point to restore");
  const target = new Qdrant(address);
  const green = greenSeconds(target);
  await restoreRecoveryPoint({ repository, recoveryPoint, target, clock, progress });
  const seconds = since();
  return { seconds, greenSeconds: await green };
}

/** When all that was uploaded is green: the last collection's archives are in, and its optimizer has nothing to do. */
async function greenSeconds(target: Qdrant): Promise<number> {
  let restoring = 0;
  let restored = 0;
  const { restoreShard } = target;
  target.restoreShard = async (...args) => {
    restoring += 1;
    await restoreShard.apply(target, args);
    restored += 1;
  };
  const wait = { what: "the restored collections to be green", withinMs: 60 * 60_000, everyMs: 10 };
  return waitUntil(clock, wait, async () => {
    if (restored === 0 || restored < restoring) return undefined;
    const names = await target.collections();
    const states = await Promise.all(names.map((name) => target.health(name)));
    return restored === restoring && states.every((state) => state === "green") && since();
  });
}

/** Every HTTP request of this process, by whom it is sent to; the two clients have a channel each. */
function countRequests(database: QdrantAddress): { qdrant: number; store: number } {
  const counts = { qdrant: 0, store: 0 };
  const peers = new Set(database.peers.map((url) => new URL(url).host));
  const count = (host: string | undefined) => {
    counts[peers.has(host ?? "") ? "qdrant" : "store"] += 1;
  };
  subscribe("undici:request:create", (message) => {
    count(new URL(String((message as { request: { origin: string } }).request.origin)).host);
  });
  subscribe("http.client.request.start", (message) => {
    count(String((message as { request: ClientRequest }).request.getHeader("host")));
  });
  return counts;
}
