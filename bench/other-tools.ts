/** What the product is measured against: restic, the way without a tool, and the limits of reading, storing and loading. */
import { randomUUID } from "node:crypto";
import { mkdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { QdrantServer } from "../test/support/servers/qdrant-server.ts";
import type { SeaweedServer } from "../test/support/servers/seaweedfs-server.ts";
import { collection, collectionSettings, shards, waitUntilGreen } from "./collection-under-test.ts";
import type { LimitOrder } from "./limit-process.ts";
import { call } from "./qdrant-call.ts";
import { bytesIn, curlCredentials, type S3Address } from "./s3-bucket.ts";
import type { Scratch } from "./scratch.ts";

export interface OtherToolRun {
  readonly seconds: number;
  /** Of all processes that were started for it; those of the servers are not counted. */
  readonly cpuSeconds?: number;
  readonly storedBytes?: number;
  /** Which of several ways was the fastest. */
  readonly way?: string;
}

export interface Servers {
  readonly scratch: Scratch;
  readonly qdrant: QdrantServer;
  readonly store: SeaweedServer;
}

const captureUrl = ({ url }: QdrantServer, shard: number) =>
  `${url}/collections/${collection}/shards/${shard}/snapshot/partial/create`;

function curlCapture(qdrant: QdrantServer, shard: number): string {
  return `curl -sS --fail -X POST -H 'api-key: ${qdrant.apiKey}' -H 'content-type: application/json' -H 'accept-encoding: identity' -d '{}' '${captureUrl(qdrant, shard)}'`;
}

/** Runs one line for each shard, one after the other or all at once. */
function forShards(line: (shard: number) => string, atOnce: boolean): string {
  if (!atOnce) return shards.map(line).join("\n");
  const waits = shards.map((shard) => `wait $job${shard}`);
  return [...shards.map((shard) => `( ${line(shard)} ) & job${shard}=$!`), ...waits].join("\n");
}

/** Bytes of each shard's archive as Qdrant sends it, and how long reading both at once takes when nobody keeps them. */
export async function readOnly({ qdrant, scratch }: Servers): Promise<{ seconds: number; bytes: number }> {
  const { output, seconds } = await scratch.bash(forShards((shard) => `${curlCapture(qdrant, shard)} | wc -c`, true));
  return {
    seconds,
    bytes: output
      .trim()
      .split("\n")
      .reduce((sum, line) => sum + Number(line), 0),
  };
}

/** The same bytes read from Qdrant and put to S3, both shards at once; by Node and by curl. */
export async function limitByNode({ qdrant, scratch }: Servers, bucket: S3Address): Promise<OtherToolRun> {
  const sources = shards.map((shard) => captureUrl(qdrant, shard));
  const order: LimitOrder = { sources, apiKey: qdrant.apiKey, bucket };
  const program = fileURLToPath(new URL("limit-process.ts", import.meta.url));
  const { output } = await scratch.run(process.execPath, [program], { input: JSON.stringify(order) });
  const { cpuSeconds, seconds } = JSON.parse(output) as { seconds: number; cpuSeconds: number };
  return { seconds, cpuSeconds, way: "Node, 16 MiB objects" };
}

export async function limitByCurl({ qdrant, scratch, store }: Servers, bucket: S3Address): Promise<OtherToolRun> {
  const put = (shard: number) =>
    `curl -sS --fail -T - ${curlCredentials(store)} ${store.endpoint}/${bucket.bucket}/curl/${randomUUID()}-${shard}`;
  const { cpuSeconds, seconds } = await scratch.bash(
    forShards((shard) => `${curlCapture(qdrant, shard)} | ${put(shard)}`, true),
  );
  return { seconds, cpuSeconds, way: "curl to curl, an object a shard" };
}

/** A restic repository of its own in a bucket. */
/** What Qdrant refuses to be given. It ends with the archive's end mark; what follows has to be read, or its writer fails. */
const withoutManifests = "(tar --delete --wildcards 'segments/*/files/segment_manifest.json' && cat > /dev/null)";

export class Restic {
  readonly #servers: Servers;
  readonly #bucket: S3Address;
  readonly #name = randomUUID();
  readonly #env: NodeJS.ProcessEnv;

  constructor(servers: Servers, bucket: S3Address) {
    const { scratch, store } = servers;
    this.#servers = servers;
    this.#bucket = bucket;
    this.#env = {
      ...process.env,
      AWS_ACCESS_KEY_ID: store.credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: store.credentials.secretAccessKey,
      RESTIC_REPOSITORY: `s3:${store.endpoint}/${bucket.bucket}/${this.#name}`,
      RESTIC_PASSWORD: "bench",
      RESTIC_CACHE_DIR: join(scratch.folder, `restic-${this.#name}`),
    };
  }

  async init(): Promise<void> {
    await this.#servers.scratch.bash("restic init --quiet", this.#env);
  }

  /** Each shard's whole archive piped into a backup of its own: restic decides itself what it knows already. */
  async backup(atOnce: boolean): Promise<OtherToolRun> {
    const before = await bytesIn(this.#bucket, this.#name);
    const line = (shard: number) =>
      `${curlCapture(this.#servers.qdrant, shard)} | restic backup --quiet --stdin --stdin-filename shard-${shard}.tar --tag shard-${shard}`;
    const { cpuSeconds, seconds } = await this.#servers.scratch.bash(forShards(line, atOnce), this.#env);
    const storedBytes = (await bytesIn(this.#bucket, this.#name)) - before;
    return { seconds, cpuSeconds, storedBytes, way: atOnce ? "both shards at once" : "one shard after the other" };
  }

  /** What a restore with restic is: dump, drop what Qdrant refuses, upload; a pipe a shard, all at once, until green. */
  async restore(target: QdrantServer): Promise<OtherToolRun> {
    return loadShards(
      this.#servers.scratch,
      target,
      (shard, upload) => {
        return `restic dump --quiet --tag shard-${shard} latest shard-${shard}.tar | ${withoutManifests} | ${upload("-")}`;
      },
      this.#env,
    );
  }
}

/** The way without a tool: collection snapshot, download, SHA-256, tar.gz, upload. */
export async function byCollectionSnapshot(
  { qdrant, scratch, store }: Servers,
  bucket: S3Address,
): Promise<OtherToolRun> {
  const folder = join(scratch.folder, "snapshot");
  mkdirSync(folder, { recursive: true });
  const key = `-H 'api-key: ${qdrant.apiKey}'`;
  const url = `${qdrant.url}/collections/${collection}/snapshots`;
  const { cpuSeconds, seconds } = await scratch.bash(`cd ${folder}
    name=$(curl -sS --fail -X POST ${key} '${url}?wait=true' | sed 's/.*"name":"\\([^"]*\\)".*/\\1/')
    curl -sS --fail ${key} -o "$name" "${url}/$name"
    sha256sum "$name" > "$name.sha256"
    tar -czf snapshot.tar.gz "$name" "$name.sha256"
    curl -sS --fail -T snapshot.tar.gz ${curlCredentials(store)} ${store.endpoint}/${bucket.bucket}/snapshot.tar.gz
    curl -sS --fail -X DELETE ${key} "${url}/$name"`);
  const storedBytes = statSync(join(folder, "snapshot.tar.gz")).size;
  rmSync(folder, { recursive: true });
  return { seconds, cpuSeconds, storedBytes };
}

/** The archives that `uploadLimit` uploads, as Qdrant takes them. */
export async function saveArchives({ qdrant, scratch }: Servers): Promise<string> {
  const folder = join(scratch.folder, "archives");
  mkdirSync(folder);
  await scratch.bash(
    forShards((shard) => `${curlCapture(qdrant, shard)} | ${withoutManifests} > ${folder}/${shard}.tar`, false),
  );
  return folder;
}

/** Uploading the archives from local disk with curl, until green. */
export async function uploadLimit(scratch: Scratch, target: QdrantServer, archives: string, atOnce: boolean) {
  const run = await loadShards(
    scratch,
    target,
    (shard, upload) => upload(`${archives}/${shard}.tar`),
    process.env,
    atOnce,
  );
  return { ...run, way: atOnce ? "both shards at once" : "one shard after the other" };
}

/** Makes the collection, then uploads its shards; ends when it is green. */
async function loadShards(
  scratch: Scratch,
  target: QdrantServer,
  line: (shard: number, upload: (file: string) => string) => string,
  env: NodeJS.ProcessEnv,
  atOnce = true,
): Promise<OtherToolRun> {
  const begun = performance.now();
  await call(target, "PUT", `/collections/${collection}`, collectionSettings);
  await call(target, "PUT", `/collections/${collection}/index?wait=true`, {
    field_name: "source",
    field_schema: "keyword",
  });
  const { cpuSeconds } = await scratch.bash(
    forShards(
      (shard) =>
        line(shard, (file) => {
          const url = `${target.url}/collections/${collection}/shards/${shard}/snapshots/upload?priority=snapshot&wait=true`;
          return `curl -sS --fail -H 'api-key: ${target.apiKey}' -F 'snapshot=@${file};filename=shard.snapshot' '${url}' > /dev/null`;
        }),
      atOnce,
    ),
    env,
  );
  await waitUntilGreen(target);
  return { seconds: (performance.now() - begun) / 1000, cpuSeconds };
}
