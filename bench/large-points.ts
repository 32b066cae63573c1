/** What points of any size cost a capture and a restore of memory: three collections that are larger than a string may be, or nearly so. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { QdrantServer } from "../test/support/servers/qdrant-server.ts";
import { SeaweedServer } from "../test/support/servers/seaweedfs-server.ts";
import { newRegion, type ProductRun, runProduct } from "./product.ts";
import { call } from "./qdrant-call.ts";
import type { Scratch } from "./scratch.ts";

/** The bar, for each of them. */
const mostMiB = 256;
const mega = 1024 * 1024;

interface LargePoints {
  readonly name: string;
  readonly vectors: object;
  /** The points, one request each. */
  points(): Iterable<object>;
}

const inputs: readonly LargePoints[] = [
  {
    name: "64 points of 9 MB payload",
    vectors: { size: 4, distance: "Dot" },
    *points() {
      for (let id = 0; id < 64; id += 1) yield { id, payload: { text: textOf(id, 9 * mega) }, vector: [id, 1, 2, 3] };
    },
  },
  {
    name: "64 points of 1,030 × 128 numbers (ColPali)",
    // Without a graph, as Qdrant advises for such vectors: building it compares every two pages, minutes of a core that no restore needs.
    vectors: {
      size: 128,
      distance: "Cosine",
      multivector_config: { comparator: "max_sim" },
      hnsw_config: { m: 0 },
    },
    *points() {
      for (let id = 0; id < 64; id += 1) yield { id, payload: { page: id }, vector: matrixOf(id, 1_030, 128) };
    },
  },
  {
    name: "4 points of 64 MB, one of 140 MB, 60 small ones",
    vectors: { size: 4, distance: "Dot" },
    *points() {
      for (let id = 0; id < 60; id += 1) yield { id, payload: { id }, vector: [id, 1, 2, 3] };
      for (let id = 60; id < 64; id += 1) {
        yield { id, payload: { lists: listsOf(id, 32 * mega), text: textOf(id, 32 * mega) }, vector: [id, 1, 2, 3] };
      }
      yield { id: 64, payload: { text: textOf(64, 140 * mega) }, vector: [64, 1, 2, 3] };
    },
  },
];

export interface LargePointsRow {
  readonly input: string;
  readonly capture: ProductRun;
  readonly restore: ProductRun;
  readonly isWithinBar: boolean;
}

export async function measureLargePoints(scratch: Scratch, say: (text: string) => void): Promise<LargePointsRow[]> {
  const store = await SeaweedServer.start();
  scratch.defer(() => store.stop());
  const rows: LargePointsRow[] = [];
  for (const [number, input] of inputs.entries()) {
    const [source, target] = [await startServer(), await startServer()];
    scratch.defer(() => Promise.all([source.stop(), target.stop()]));
    say(`making ${input.name}`);
    const settings = { vectors: input.vectors, wal_config: { wal_capacity_mb: 1 }, on_disk_payload: true };
    await call(source, "PUT", "/collections/large", settings);
    for (const point of input.points()) {
      await call(source, "PUT", "/collections/large/points?wait=true", { points: [point] });
    }
    const region = await newRegion(source, store, `bench-large-${number}`);
    const capture = await runProduct(scratch, { action: "capture", region, type: "full" });
    say(`captured: ${capture.peakRssMiB.toFixed(0)} MiB`);
    const address = { peers: [target.url], apiKey: target.apiKey };
    const restore = await runProduct(scratch, { action: "restore", region, target: address });
    say(`restored: ${restore.peakRssMiB.toFixed(0)} MiB`);
    const isWithinBar = Math.max(capture.peakRssMiB, restore.peakRssMiB) <= mostMiB;
    rows.push({ input: input.name, capture, restore, isWithinBar });
    await Promise.all([source.stop(), target.stop()]);
  }
  return rows;
}

/** One that takes requests as large as the points. */
function startServer(): Promise<QdrantServer> {
  return QdrantServer.start("alone", async (folder) => {
    await mkdir(join(folder, "config"));
    await writeFile(join(folder, "config", "config.yaml"), JSON.stringify({ service: { max_request_size_mb: 512 } }));
  });
}

function textOf(id: number, length: number): string {
  return `${id} of a text that is long "\n" `.repeat(Math.ceil(length / 30)).slice(0, length);
}

/** JSON of about so many bytes in small values, which take many times as much when they are read. */
function listsOf(id: number, length: number): number[][] {
  return Array.from({ length: Math.ceil(length / 24) }, (_, n) => [id, n % 1_000, 0.25, 1, 2, 3, 4]);
}

function matrixOf(id: number, rows: number, columns: number): number[][] {
  return Array.from({ length: rows }, (_, row) =>
    Array.from({ length: columns }, (_, column) => Math.sin(id * 131 + row * 17 + column)),
  );
}

export function tableOfLargePoints(rows: readonly LargePointsRow[]): string[][] {
  const cells = (input: string, what: string, { peakRssMiB, seconds }: ProductRun) => [
    input,
    what,
    `${seconds.toFixed(1)} s`,
    `${peakRssMiB.toFixed(0)} MiB`,
    peakRssMiB <= mostMiB ? "" : `above ${mostMiB} MiB`,
  ];
  return [
    ["points", "", "time", "peak RSS", ""],
    ...rows.flatMap(({ capture, input, restore }) => [cells(input, "capture", capture), cells("", "restore", restore)]),
  ];
}
