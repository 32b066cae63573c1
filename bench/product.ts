/** Ours: what is measured of the product, each in a process of its own. */
import { fileURLToPath } from "node:url";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import { controlLayout } from "../runtime/domain/recovery-points/store-layout.ts";
import { type Region, regionSchema } from "../runtime/domain/region.ts";
import type { EpochRecord } from "../runtime/domain/roles/epoch.ts";
import { NODE_ENVIRONMENT, NODE_FLAGS } from "../setup/node-flags.mjs";
import { signing, storeOf, trust } from "../test/support/estates/test-trust.ts";
import type { QdrantServer } from "../test/support/servers/qdrant-server.ts";
import type { SeaweedServer } from "../test/support/servers/seaweedfs-server.ts";
import type { Order, ProcessResult } from "./product-process.ts";
import { bytesIn, type S3Address } from "./s3-bucket.ts";
import type { Scratch } from "./scratch.ts";

export interface ProductRun extends ProcessResult {
  /** Of the whole process: Node's start included. */
  readonly processSeconds: number;
  /** What the buckets grew by. */
  readonly storedBytes: number;
}

/** A region with buckets of its own that has no recovery point yet. */
export async function newRegion(qdrant: QdrantServer, store: SeaweedServer, name: string): Promise<Region> {
  const identity = await generateX25519Identity();
  const recovery = await generateX25519Identity();
  const region = regionSchema.parse({
    contract: 1,
    region: "bench",
    peer: "elsewhere",
    role: "active",
    epoch: 1,
    objectives: { rtoMinutes: 30, rpoMinutes: 15 },
    qdrant: { peers: [qdrant.url], apiKey: qdrant.apiKey },
    repository: await store.bucket(`${name}-repository`),
    control: await store.bucket(`${name}-control`),
    keys: { recipients: [await identityToRecipient(identity), await identityToRecipient(recovery)], identity, signing },
    trust,
  });
  const epoch: EpochRecord = {
    epoch: 1,
    active: "bench",
    reason: "initial",
    run: "bench",
    at: new Date().toISOString(),
  };
  await storeOf(region, "control").create(controlLayout.epoch(1), Buffer.from(JSON.stringify(epoch)));
  return region;
}

/** @param profiles folder for CPU profiles, one a process */
export async function runProduct(scratch: Scratch, order: Order, profiles?: string): Promise<ProductRun> {
  const buckets = [order.region.repository, order.region.control] as S3Address[];
  const stored = async () => (await Promise.all(buckets.map((bucket) => bytesIn(bucket)))).reduce((a, b) => a + b, 0);
  const before = await stored();
  const program = fileURLToPath(new URL("product-process.ts", import.meta.url));
  const profiling = profiles === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profiles}`];
  const { output, seconds } = await scratch.run(process.execPath, [...NODE_FLAGS, ...profiling, program], {
    env: { ...process.env, ...NODE_ENVIRONMENT },
    input: JSON.stringify(order),
  });
  const result = JSON.parse(output) as ProcessResult;
  return { ...result, processSeconds: seconds, storedBytes: (await stored()) - before };
}
