/** What captures cost that grows with the number of collections and not with their data: many small ones. */
import { QdrantServer } from "../test/support/servers/qdrant-server.ts";
import { SeaweedServer } from "../test/support/servers/seaweedfs-server.ts";
import { newRegion, type ProductRun, runProduct } from "./product.ts";
import { call } from "./qdrant-call.ts";
import type { Scratch } from "./scratch.ts";

const pointsEach = 20;
const dimensions = 8;
const makersAtOnce = 4;

export interface ManyCollectionsRow {
  readonly collections: number;
  readonly full: ProductRun;
  readonly unchanged: ProductRun;
}

/** A row for each count; collections are added to the same server, captures begin in a new region each time. */
export async function measureManyCollections(
  scratch: Scratch,
  { counts, profiles }: { readonly counts: readonly number[]; readonly profiles?: string | undefined },
  say: (text: string) => void,
): Promise<ManyCollectionsRow[]> {
  const qdrant = await QdrantServer.start();
  scratch.defer(() => qdrant.stop());
  const store = await SeaweedServer.start();
  scratch.defer(() => store.stop());
  const rows: ManyCollectionsRow[] = [];
  let made = 0;
  for (const collections of counts.toSorted((a, b) => a - b)) {
    say(`making ${collections - made} collections`);
    await makeCollections(qdrant, made, collections);
    made = collections;
    const region = await newRegion(qdrant, store, `bench-${collections}`);
    const full = await runProduct(scratch, { action: "capture", region, type: "full" }, profiles);
    say(`${collections} collections, full: ${full.seconds.toFixed(2)} s`);
    const unchanged = await runProduct(scratch, { action: "capture", region, type: "incremental" }, profiles);
    say(`${collections} collections, unchanged: ${unchanged.seconds.toFixed(2)} s`);
    rows.push({ collections, full, unchanged });
  }
  return rows;
}

async function makeCollections(server: QdrantServer, from: number, to: number): Promise<void> {
  let next = from;
  const make = async () => {
    while (next < to) {
      const number = next;
      next += 1;
      const path = `/collections/tenant-${String(number).padStart(5, "0")}`;
      await call(server, "PUT", path, {
        vectors: { size: dimensions, distance: "Dot" },
        wal_config: { wal_capacity_mb: 1 },
        optimizers_config: { default_segment_number: 1 },
      });
      const points = Array.from({ length: pointsEach }, (_, id) => ({
        id,
        vector: Array.from({ length: dimensions }, (_, at) => number + id / 10 + at / 100),
        payload: { tenant: number, text: `document ${id} of tenant ${number}` },
      }));
      await call(server, "PUT", `${path}/points?wait=true`, { points });
    }
  };
  await Promise.all(Array.from({ length: makersAtOnce }, make));
}

export function tableOfCollections(rows: readonly ManyCollectionsRow[]): string[][] {
  const cells = (collections: number, what: string, run: ProductRun) => [
    String(collections),
    what,
    `${run.seconds.toFixed(2)} s`,
    `${((1000 * run.seconds) / collections).toFixed(1)} ms`,
    `${run.cpuSeconds.toFixed(2)} s`,
    `${(run.requests.qdrant / collections).toFixed(1)} + ${(run.requests.store / collections).toFixed(1)}`,
    `${run.requests.qdrant} + ${run.requests.store}`,
    `${run.peakRssMiB.toFixed(0)} MiB`,
  ];
  return [
    ["collections", "", "time", "each", "of CPU", "requests each (Qdrant + S3)", "requests", "peak RSS"],
    ...rows.flatMap(({ collections, full, unchanged }) => [
      cells(collections, "full", full),
      cells(collections, "unchanged", unchanged),
    ]),
  ];
}
