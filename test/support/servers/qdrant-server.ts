/** Real Qdrants for a test: `qdrant` of PATH on free ports, each with a folder of its own that `stop` removes. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { untilReady } from "../time/until-ready.ts";
import { freePorts } from "./free-ports.ts";

const longestStartMs = 20_000;

export class QdrantServer {
  readonly url: string;
  readonly apiKey = "test-key-of-a-qdrant-server";
  readonly readOnlyKey = "test-key-that-may-only-read";
  readonly folder = mkdtempSync(join(tmpdir(), "qdrant-dr-server-"));
  readonly #ports: readonly [http: number, grpc: number, p2p: number];
  readonly #mode: "alone" | "first" | QdrantServer;
  readonly #settings: Readonly<Record<string, string>>;
  #process: ChildProcess | undefined;

  private constructor(
    ports: readonly [number, number, number],
    mode: "alone" | "first" | QdrantServer,
    settings: Readonly<Record<string, string>>,
  ) {
    this.#ports = ports;
    this.#settings = settings;
    this.#mode = mode;
    this.url = `http://127.0.0.1:${ports[0]}`;
  }

  /**
   * `alone` without cluster mode, `first` of a cluster, or one that joins the cluster of a running server.
   * @param prepare fills the folder before the server starts in it; its data are in `storage`.
   * @param settings more of its settings, as environment variables.
   */
  static async start(
    mode: "alone" | "first" | QdrantServer = "alone",
    prepare?: (folder: string) => Promise<void>,
    settings: Readonly<Record<string, string>> = {},
  ): Promise<QdrantServer> {
    const [http = 0, grpc = 0, p2p = 0] = await freePorts(3);
    const server = new QdrantServer([http, grpc, p2p], mode, settings);
    try {
      await prepare?.(server.folder);
      await server.restart();
      return server;
    } catch (error) {
      await server.stop();
      throw error;
    }
  }

  /** Starts it again on the same ports and data; returns when it answers. */
  async restart(): Promise<void> {
    const [http, grpc, p2p] = this.#ports;
    const child = spawn("qdrant", this.#clusterArguments(), {
      cwd: this.folder,
      stdio: "ignore",
      env: {
        PATH: process.env["PATH"],
        QDRANT__LOG_LEVEL: "ERROR",
        QDRANT__SERVICE__HOST: "127.0.0.1",
        QDRANT__SERVICE__HTTP_PORT: String(http),
        QDRANT__SERVICE__GRPC_PORT: String(grpc),
        QDRANT__SERVICE__API_KEY: this.apiKey,
        QDRANT__SERVICE__READ_ONLY_API_KEY: this.readOnlyKey,
        QDRANT__STORAGE__STORAGE_PATH: join(this.folder, "storage"),
        QDRANT__STORAGE__SNAPSHOTS_PATH: join(this.folder, "snapshots"),
        QDRANT__TELEMETRY_DISABLED: "true",
        QDRANT__CLUSTER__ENABLED: String(this.#mode !== "alone"),
        QDRANT__CLUSTER__P2P__PORT: String(p2p),
        ...this.#settings,
      },
    });
    this.#process = child;
    await once(child, "spawn");
    await untilReady(child, `Qdrant at ${this.url}`, longestStartMs, () => this.#isReady());
  }

  get grpcUrl(): string {
    return `http://127.0.0.1:${this.#ports[1]}`;
  }

  /** Of the process that runs now. */
  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /** SIGKILL, or another signal; returns when the process is dead. */
  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    const child = this.#process;
    this.#process = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exit = once(child, "exit");
    child.kill(signal);
    await exit;
  }

  /** A host that hangs: connections are taken, and nothing is answered. */
  pause(): void {
    this.#process?.kill("SIGSTOP");
  }

  resume(): void {
    this.#process?.kill("SIGCONT");
  }

  async stop(): Promise<void> {
    await this.kill();
    rmSync(this.folder, { recursive: true, force: true });
  }

  get #peerUri(): string {
    return `http://127.0.0.1:${this.#ports[2]}`;
  }

  #clusterArguments(): string[] {
    if (this.#mode === "alone") return [];
    const join = this.#mode === "first" ? [] : ["--bootstrap", this.#mode.#peerUri];
    return ["--uri", this.#peerUri, ...join];
  }

  async #isReady(): Promise<boolean> {
    try {
      return (await fetch(`${this.url}/readyz`)).ok;
    } catch {
      return false;
    }
  }
}
