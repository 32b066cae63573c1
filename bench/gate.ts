/**
 * What a gate costs: the same upserts to Qdrant directly and through a gate, by turns on the same machine in the same seconds, so that other
 * load falls on both.
 */
import { startOpenGate } from "../test/support/servers/open-gate.ts";
import { QdrantServer } from "../test/support/servers/qdrant-server.ts";
import { type Batch, type Caller, grpcCaller, makeBatch, type Protocol, restCaller } from "./gate-calls.ts";
import { call } from "./qdrant-call.ts";
import type { Scratch } from "./scratch.ts";

export interface GateOptions {
  /** Of each row. */
  readonly seconds: number;
}

export interface GateRow {
  readonly protocol: Protocol;
  readonly dimensions: number;
  readonly clients: number;
  readonly requests: number;
  readonly directP50Ms: number;
  readonly gatedP50Ms: number;
  readonly addedP50Ms: number;
  readonly directP99Ms: number;
  readonly gatedP99Ms: number;
  readonly addedP99Ms: number;
  readonly directPointsPerSecond: number;
  readonly gatedPointsPerSecond: number;
}

export interface GateMeasurements {
  /** 128 dimensions, one client, batches of 50. */
  readonly gateAddedP50MsRest: number;
  readonly gateAddedP99MsRest: number;
  readonly gateAddedP50MsGrpc: number;
  readonly gateAddedP99MsGrpc: number;
  readonly rows: readonly GateRow[];
}

const batchPoints = 50;
const batches = 40;
const warmUpRequests = 30;
const clientKey = "the-key-that-clients-have";

export async function measureGate(
  scratch: Scratch,
  { seconds }: GateOptions,
  say: (text: string) => void,
): Promise<GateMeasurements> {
  const server = await QdrantServer.start();
  scratch.defer(() => server.stop());
  const gate = await startOpenGate(scratch.folder, server);
  scratch.defer(() => gate.stop());

  const rows: GateRow[] = [];
  for (const dimensions of [128, 1_536]) {
    const collection = `of-${dimensions}`;
    // No index is built: it would take the machine at times.
    await call({ url: server.url, apiKey: server.apiKey }, "PUT", `/collections/${collection}`, {
      vectors: { size: dimensions, distance: "Cosine" },
      optimizers_config: { indexing_threshold: 0 },
    });
    const sent = Array.from({ length: batches }, (_, n) =>
      makeBatch(collection, n * batchPoints, batchPoints, dimensions),
    );
    for (const protocol of ["rest", "grpc"] as const) {
      const callers = (): [Caller, Caller] =>
        protocol === "rest"
          ? [restCaller(server.url, server.apiKey, collection), restCaller(gate.url, clientKey, collection)]
          : [grpcCaller(server.grpcUrl, server.apiKey), grpcCaller(gate.url, clientKey)];
      for (const clients of [1, 8]) {
        say(`${protocol}, ${dimensions} dimensions, ${clients} clients`);
        const pairs = Array.from({ length: clients }, callers);
        const timed = await Promise.all(pairs.map((pair, client) => takeTurns(pair, sent, client, seconds)));
        for (const caller of pairs.flat()) caller.close();
        rows.push({ protocol, dimensions, clients, ...summaryOf(timed) });
      }
    }
  }
  const headline = (protocol: Protocol) => {
    const row = rows.find((one) => one.protocol === protocol && one.dimensions === 128 && one.clients === 1);
    if (row === undefined) throw new Error("the headline was measured");
    return row;
  };
  return {
    gateAddedP50MsRest: headline("rest").addedP50Ms,
    gateAddedP99MsRest: headline("rest").addedP99Ms,
    gateAddedP50MsGrpc: headline("grpc").addedP50Ms,
    gateAddedP99MsGrpc: headline("grpc").addedP99Ms,
    rows,
  };
}

interface Turns {
  readonly direct: number[];
  readonly gated: number[];
}

async function takeTurns(
  [direct, gated]: [Caller, Caller],
  sent: readonly Batch[],
  client: number,
  seconds: number,
): Promise<Turns> {
  const turns: Turns = { direct: [], gated: [] };
  const endsAt = performance.now() + 1000 * seconds;
  for (let n = 0; n < 2 * warmUpRequests || performance.now() < endsAt; n += 1) {
    const batch = sent[(n + client) % sent.length] as Batch;
    const isGated = n % 2 === 1;
    const begun = performance.now();
    await (isGated ? gated : direct).upsert(batch);
    if (n >= warmUpRequests) (isGated ? turns.gated : turns.direct).push(performance.now() - begun);
  }
  return turns;
}

function summaryOf(timed: readonly Turns[]): Omit<GateRow, "protocol" | "dimensions" | "clients"> {
  const [direct, gated] = (["direct", "gated"] as const).map((way) => {
    const times = timed.flatMap((turns) => turns[way]).sort((a, b) => a - b);
    const at = (share: number) => times[Math.min(times.length - 1, Math.floor(share * times.length))] ?? 0;
    const mean = times.reduce((sum, time) => sum + time, 0) / times.length;
    return {
      p50: at(0.5),
      p99: at(0.99),
      pointsPerSecond: (timed.length * batchPoints * 1000) / mean,
      count: times.length,
    };
  });
  if (direct === undefined || gated === undefined) throw new Error("both ways were measured");
  return {
    requests: direct.count + gated.count,
    directP50Ms: rounded(direct.p50),
    gatedP50Ms: rounded(gated.p50),
    addedP50Ms: rounded(gated.p50 - direct.p50),
    directP99Ms: rounded(direct.p99),
    gatedP99Ms: rounded(gated.p99),
    addedP99Ms: rounded(gated.p99 - direct.p99),
    directPointsPerSecond: Math.round(direct.pointsPerSecond),
    gatedPointsPerSecond: Math.round(gated.pointsPerSecond),
  };
}

export function tableOfGate({ rows }: GateMeasurements): string[][] {
  return [
    [
      "protocol",
      "dimensions",
      "clients",
      "direct p50/p99 ms",
      "gate p50/p99 ms",
      "added p50/p99 ms",
      "points/s direct",
      "gate",
    ],
    ...rows.map((row) => [
      row.protocol,
      String(row.dimensions),
      String(row.clients),
      `${row.directP50Ms} / ${row.directP99Ms}`,
      `${row.gatedP50Ms} / ${row.gatedP99Ms}`,
      `${row.addedP50Ms} / ${row.addedP99Ms}`,
      String(row.directPointsPerSecond),
      String(row.gatedPointsPerSecond),
    ]),
  ];
}

function rounded(milliseconds: number): number {
  return Math.round(100 * milliseconds) / 100;
}
