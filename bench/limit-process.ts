/**
 * The limit: reads shards from Qdrant and puts the same bytes to S3 as they come, all shards at once, with nothing else
 * done: no hashing, no compression, unsigned payloads. Reads its order as JSON from standard input.
 */
import { request } from "node:http";
import { json } from "node:stream/consumers";
import { PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { s3ClientSettings } from "../runtime/adapters/stores/s3-store.ts";
import type { StoreAddress } from "../runtime/domain/region.ts";

export interface LimitOrder {
  /** Where each shard is read from. */
  readonly sources: readonly string[];
  readonly apiKey: string;
  readonly bucket: Extract<StoreAddress, { kind: "s3" }>;
}

const objectSize = 16 * 1024 * 1024;
const putsUnderWay = 2;

const { apiKey, bucket, sources } = (await json(process.stdin)) as LimitOrder;
const client = new S3Client(s3ClientSettings(bucket));
client.middlewareStack.add(
  (next) => (args) => {
    const { headers } = args.request as { headers: Record<string, string> };
    headers["x-amz-content-sha256"] = "UNSIGNED-PAYLOAD";
    return next(args);
  },
  { step: "build" },
);

const begun = performance.now();
const sizes = await Promise.all(sources.map(copyShard));
const seconds = (performance.now() - begun) / 1000;
const { user, system } = process.cpuUsage();
const bytes = sizes.reduce((sum, size) => sum + size, 0);
process.stdout.write(JSON.stringify({ seconds, cpuSeconds: (user + system) / 1e6, bytes }));

async function copyShard(source: string, shard: number): Promise<number> {
  const underWay = new Set<Promise<unknown>>();
  let parts: Buffer[] = [];
  let filled = 0;
  let objects = 0;
  let size = 0;
  const put = async () => {
    while (underWay.size >= putsUnderWay) await Promise.race(underWay);
    const Body = Buffer.concat(parts);
    [parts, filled] = [[], 0];
    objects += 1;
    const putting: Promise<unknown> = client
      .send(new PutObjectCommand({ Bucket: bucket.bucket, Key: `node/${shard}/${objects}`, Body }))
      .finally(() => underWay.delete(putting));
    underWay.add(putting);
  };
  for await (const bytes of await open(source)) {
    parts.push(bytes);
    filled += bytes.length;
    size += bytes.length;
    if (filled >= objectSize) await put();
  }
  if (filled > 0) await put();
  await Promise.all(underWay);
  return size;
}

function open(source: string): Promise<AsyncIterable<Buffer>> {
  return new Promise((done, failed) => {
    const headers = { "api-key": apiKey, "content-type": "application/json", "accept-encoding": "identity" };
    const sent = request(source, { method: "POST", headers }, (answer) =>
      answer.statusCode === 200 ? done(answer) : failed(new Error(`Qdrant answered ${answer.statusCode}`)),
    );
    sent.on("error", failed);
    sent.end("{}");
  });
}
