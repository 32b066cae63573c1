/** A real S3 server for a test: `weed` of PATH on free ports, with a folder of its own that `stop` removes. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CreateBucketCommand, PutObjectLockConfigurationCommand, S3Client } from "@aws-sdk/client-s3";
import { storeArguments, storePorts, storeReadyUrls, storeSockets } from "../../../quickstart/domain/seaweedfs.ts";
import { s3ClientSettings } from "../../../runtime/adapters/stores/s3-store.ts";
import type { StoreAddress } from "../../../runtime/domain/region.ts";
import { killed } from "../faults/killed.ts";
import { untilReady } from "../time/until-ready.ts";

const longestStartMs = 30_000;

export class SeaweedServer {
  readonly endpoint: string;
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
  readonly #folder = mkdtempSync(join(tmpdir(), "qdrant-dr-weed-"));
  readonly #first: number;
  #process: ChildProcess | undefined;

  private constructor(first: number, writer: string) {
    this.credentials = { accessKeyId: writer, secretAccessKey: `test-secret-of-${writer}` };
    this.#first = first;
    this.endpoint = `http://127.0.0.1:${first}`;
  }

  /** @param writer the id of its only access key. */
  static async start(writer = "test-writer"): Promise<SeaweedServer> {
    const server = new SeaweedServer(await freePortRun(storePorts), writer);
    try {
      await server.#start();
      return server;
    } catch (error) {
      await server.stop();
      throw error;
    }
  }

  /**
   * A new bucket, and how a store reaches it.
   * @param locks with Object Lock; in days, how long it locks by itself.
   */
  async bucket(name: string, locks?: "by object" | number): Promise<Extract<StoreAddress, { kind: "s3" }>> {
    const address = {
      kind: "s3",
      bucket: name,
      region: "us-east-1",
      endpoint: this.endpoint,
      credentials: this.credentials,
    } as const;
    const client = new S3Client(s3ClientSettings(address));
    await client.send(new CreateBucketCommand({ Bucket: name, ObjectLockEnabledForBucket: locks !== undefined }));
    if (typeof locks === "number") {
      const Rule = { DefaultRetention: { Mode: "COMPLIANCE", Days: locks } } as const;
      const ObjectLockConfiguration = { ObjectLockEnabled: "Enabled", Rule } as const;
      await client.send(new PutObjectLockConfigurationCommand({ Bucket: name, ObjectLockConfiguration }));
    }
    client.destroy();
    return address;
  }

  /** An access key that reads every bucket, and writes and deletes nothing. */
  addReader(): SeaweedServer["credentials"] {
    const credentials = { accessKeyId: "test-reader", secretAccessKey: "test-secret-of-reader" };
    const configure = [
      `s3.configure -user=reader -actions=Read,List -apply`,
      `-access_key=${credentials.accessKeyId} -secret_key=${credentials.secretAccessKey}`,
    ].join(" ");
    const [master, filer] = [2, 6].map((port) => `127.0.0.1:${this.#first + port}.${this.#first + port + 1}`);
    execFileSync("weed", ["shell", `-master=${master}`, `-filer=${filer}`], {
      ...{ input: `${configure}\nexit\n`, cwd: this.#folder, stdio: ["pipe", "ignore", "ignore"] },
      ...{ env: { PATH: process.env["PATH"], HOME: this.#folder }, timeout: longestStartMs },
    });
    return credentials;
  }

  /** Where it listens instead of a port that weed takes by itself: 8333 of the S3 gateway, 9333 of the master. */
  urlOf(port: "8333" | "9333"): string {
    const [gateway = "", master = ""] = storeReadyUrls(this.#first);
    return new URL(port === "8333" ? gateway : master).origin;
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /** Killed, and started again on what it left. */
  async restart(): Promise<void> {
    await killed(this.#process);
    await this.#start();
  }

  async stop(): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    await killed(child);
    for (const left of [this.#folder, ...storeSockets(this.#first)]) rmSync(left, { recursive: true, force: true });
  }

  async #start(): Promise<void> {
    const child = spawn("weed", storeArguments(this.#folder, this.#first), {
      cwd: this.#folder,
      stdio: "ignore",
      env: {
        PATH: process.env["PATH"],
        HOME: this.#folder,
        AWS_ACCESS_KEY_ID: this.credentials.accessKeyId,
        AWS_SECRET_ACCESS_KEY: this.credentials.secretAccessKey,
      },
    });
    this.#process = child;
    await once(child, "spawn");
    await untilReady(child, `SeaweedFS at ${this.endpoint}`, longestStartMs, () => this.#isReady());
  }

  async #isReady(): Promise<boolean> {
    try {
      const answers = await Promise.all(storeReadyUrls(this.#first).map((url) => fetch(url)));
      return answers.every(({ ok }) => ok);
    } catch {
      return false;
    }
  }
}

/** The first of so many free ports in a row; all are held at once while it looks. */
async function freePortRun(count: number): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const first = 20_000 + Math.floor(Math.random() * 10_000);
    const held: Server[] = [];
    try {
      for (let port = first; port < first + count; port += 1) {
        const holder = createServer();
        await once(holder.listen(port, "127.0.0.1"), "listening");
        held.push(holder);
      }
      return first;
    } catch {
      // Taken: the next try looks elsewhere.
    } finally {
      for (const holder of held) await once(holder.close(), "close");
    }
  }
  throw new Error(`no ${count} free ports in a row`);
}
