/** A region's S3 store beside the cluster: SeaweedFS on an address of its own, with a key that writes and one that reads. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CreateBucketCommand, S3Client } from "@aws-sdk/client-s3";
import { storeArguments, storeReadyUrls, storeSockets } from "../../../quickstart/domain/seaweedfs.ts";
import { s3ClientSettings } from "../../../runtime/adapters/stores/s3-store.ts";
import { killed } from "../faults/killed.ts";
import { isOk, untilReady } from "../time/until-ready.ts";
import { clusterFolder } from "./place.ts";

const longestStartMs = 60_000;

type StoreKeys = Readonly<Record<"write" | "read", { accessKeyId: string; secretAccessKey: string }>>;

export class ClusterStore {
  readonly region: string;
  readonly endpoint: string;
  readonly address: string;
  /** Those that are given out. */
  keys: StoreKeys;
  readonly #firstPort: number;
  readonly #folder: string;
  #taken: readonly StoreKeys[];
  #process: ChildProcess | undefined;

  constructor(region: string, address: string, firstPort: number) {
    this.region = region;
    this.address = address;
    this.endpoint = `http://${address}:${firstPort}`;
    this.#firstPort = firstPort;
    this.#folder = clusterFolder("stores", region);
    this.keys = keysOf(region);
    this.#taken = [this.keys];
  }

  /** Its two buckets, as settings name them. */
  get stores() {
    const named = (what: string) => ({
      bucket: `${this.region}-${what}`,
      region: "us-east-1",
      endpoint: this.endpoint,
    });
    return { repository: named("repository"), control: named("control") };
  }

  async start(): Promise<void> {
    mkdirSync(join(this.#folder, "data"), { recursive: true });
    const credentials = (what: keyof StoreKeys) => this.#taken.map((keys) => asWeedSays(keys[what]));
    const identities = [
      { name: "writer", credentials: credentials("write"), actions: ["Admin", "Read", "List", "Tagging", "Write"] },
      { name: "reader", credentials: credentials("read"), actions: ["Read", "List"] },
    ];
    const config = join(this.#folder, "keys.json");
    writeFileSync(config, JSON.stringify({ identities }));
    const args = [...storeArguments(join(this.#folder, "data"), this.#firstPort, this.address), `-s3.config=${config}`];
    const child = spawn("weed", args, {
      cwd: this.#folder,
      stdio: "ignore",
      env: { PATH: process.env["PATH"], HOME: this.#folder },
    });
    this.#process = child;
    await once(child, "spawn");
    const isReady = async () =>
      (await Promise.all(storeReadyUrls(this.#firstPort, this.address).map(isOk))).every((isSo) => isSo);
    await untilReady(child, `the store of ${this.region}`, longestStartMs, isReady);
  }

  /** Gives out others from now on, and takes those before as well. */
  async addKeys(): Promise<void> {
    this.keys = keysOf(`${this.region}-new`);
    this.#taken = [...this.#taken, this.keys];
    await this.#restart();
  }

  /** Takes no other keys than those that are given out. */
  async revokeOldKeys(): Promise<void> {
    this.#taken = [this.keys];
    await this.#restart();
  }

  async #restart(): Promise<void> {
    await this.kill();
    await this.start();
  }

  async makeBuckets(): Promise<void> {
    for (const bucket of Object.values(this.stores)) {
      const client = new S3Client(s3ClientSettings({ kind: "s3", ...bucket, credentials: { ...this.keys.write } }));
      await client.send(new CreateBucketCommand({ Bucket: bucket.bucket }));
      client.destroy();
    }
  }

  /** Killed; `start` brings it back with what it holds. */
  async kill(): Promise<void> {
    await killed(this.#process);
    for (const socket of storeSockets(this.#firstPort)) rmSync(socket, { force: true });
  }
}

function keysOf(owner: string): StoreKeys {
  const keyOf = (who: string) => ({
    accessKeyId: `${owner}-${who}`,
    secretAccessKey: `the-secret-of-${owner}-${who}`,
  });
  return { write: keyOf("writer"), read: keyOf("reader") };
}

function asWeedSays({ accessKeyId, secretAccessKey }: StoreKeys["write"]) {
  return { accessKey: accessKeyId, secretKey: secretAccessKey };
}
