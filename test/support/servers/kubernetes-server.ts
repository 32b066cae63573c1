/**
 * A real Kubernetes API for a test: `etcd` and `kube-apiserver` of PATH on free ports, with a folder of their own that
 * `stop` removes. There are no controllers and no nodes: objects are kept, checked and merged, and nothing acts on them.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { killed } from "../faults/killed.ts";
import { untilReady } from "../time/until-ready.ts";
import { freePorts } from "./free-ports.ts";

const longestStartMs = 60_000;

interface Answer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: what a test asks for, a test knows the shape of
  readonly body: any;
  /** What the server says beside its answer. */
  readonly warnings: readonly string[];
}

export interface WatchEvent {
  readonly type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK" | "ERROR";
  // biome-ignore lint/suspicious/noExplicitAny: as an answer's body
  readonly object: any;
}

/** etcd, for as many clusters as a test needs: each keeps its objects under a prefix of its own. */
export class EtcdServer {
  readonly url: string;
  readonly #folder = mkdtempSync(join(tmpdir(), "qdrant-dr-etcd-"));
  #process: ChildProcess | undefined;

  private constructor(port: number) {
    this.url = `http://127.0.0.1:${port}`;
  }

  static async start(): Promise<EtcdServer> {
    const [port = 0, peerPort = 0] = await freePorts(2);
    const server = new EtcdServer(port);
    const peer = `http://127.0.0.1:${peerPort}`;
    const args = [
      `--data-dir=${join(server.#folder, "data")}`,
      `--listen-client-urls=${server.url}`,
      `--advertise-client-urls=${server.url}`,
      `--listen-peer-urls=${peer}`,
      `--initial-advertise-peer-urls=${peer}`,
      `--initial-cluster=default=${peer}`,
      "--unsafe-no-fsync",
      "--log-level=error",
    ];
    server.#process = spawn("etcd", args, { stdio: "ignore", env: { PATH: process.env["PATH"] } });
    await once(server.#process, "spawn");
    return server;
  }

  async stop(): Promise<void> {
    await killed(this.#process);
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** What a server with nodes needs beside what every one does. */
export interface WithNodes {
  readonly address: string;
  readonly serviceCidr: string;
}

export class KubernetesServer {
  readonly url: string;
  readonly folder = mkdtempSync(join(tmpdir(), "qdrant-dr-kubernetes-"));
  /** May do everything. */
  readonly kubeconfig = join(this.folder, "admin.kubeconfig");
  readonly #address: string;
  readonly #port: number;
  #process: ChildProcess | undefined;

  private constructor(address: string, port: number) {
    this.#address = address;
    this.#port = port;
    this.url = `https://${address}:${port}`;
  }

  /** Without nodes it has no controllers either, and takes objects only. */
  static async start(etcd: EtcdServer, cluster: string, nodes?: WithNodes): Promise<KubernetesServer> {
    const [port = 0] = nodes === undefined ? await freePorts(1) : [6443];
    const server = new KubernetesServer(nodes?.address ?? "127.0.0.1", port);
    try {
      await server.#start(etcd, cluster, nodes);
      return server;
    } catch (error) {
      await server.stop();
      throw error;
    }
  }

  /** A kubeconfig for a user of the token file: "admin", or "guest", who may do nothing until RBAC says so. */
  writeKubeconfig(
    path: string,
    { server = this.url, user }: { readonly server?: string; readonly user: string },
  ): string {
    const config = {
      apiVersion: "v1",
      kind: "Config",
      "current-context": "test",
      clusters: [
        {
          name: "test",
          cluster: { server, "certificate-authority-data": this.certificate.toString("base64") },
        },
      ],
      users: [{ name: user, user: { token: `token-of-${user}` } }],
      contexts: [{ name: "test", context: { cluster: "test", user } }],
    };
    writeFileSync(path, JSON.stringify(config), { mode: 0o600 });
    return path;
  }

  /** The server's own certificate, which is its authority as well. */
  get certificate(): Buffer {
    return readFileSync(this.certificateFile);
  }

  get certificateFile(): string {
    return join(this.folder, "apiserver.crt");
  }

  get key(): Buffer {
    return readFileSync(join(this.folder, "apiserver.key"));
  }

  /** One request as the admin. */
  async call(method: string, path: string, body?: unknown, type = "application/json"): Promise<Answer> {
    const content = body === undefined ? "" : JSON.stringify(body);
    // Node tells the length of no DELETE's body by itself: the server would take it for the next request.
    const length = { "content-length": Buffer.byteLength(content) };
    const headers = { authorization: "Bearer token-of-admin", "content-type": type, ...length };
    const sent = request(`${this.url}${path}`, { method, headers, ca: this.certificate });
    sent.end(content);
    const [response] = await once(sent, "response");
    const said = await text(response);
    const warnings = [response.headers.warning ?? []].flat();
    const isJson = response.headers["content-type"]?.startsWith("application/json");
    return { status: response.statusCode, body: isJson ? JSON.parse(said) : said, warnings };
  }

  /** Each object of a list, as it is and as it changes, until the signal; the path is that of the list. */
  async *watch(path: string, signal: AbortSignal): AsyncGenerator<WatchEvent> {
    while (!signal.aborted) {
      const headers = { authorization: "Bearer token-of-admin" };
      const separator = path.includes("?") ? "&" : "?";
      const sent = request(`${this.url}${path}${separator}watch=true`, { headers, ca: this.certificate, signal });
      try {
        sent.end();
        const [response] = await once(sent, "response");
        let begun = "";
        for await (const piece of response.setEncoding("utf8")) {
          const lines = (begun + piece).split("\n");
          begun = lines.pop() ?? "";
          for (const line of lines) yield JSON.parse(line);
        }
      } catch (error) {
        if (!signal.aborted) throw error;
      }
    }
  }

  /** Creates an object; the path is that of its list. */
  async create(path: string, object: unknown): Promise<void> {
    const { body, status } = await this.call("POST", path, object);
    if (status !== 201) throw new Error(`${path}: ${status} ${JSON.stringify(body)}`);
  }

  async stop(): Promise<void> {
    await killed(this.#process);
    this.#process = undefined;
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** The key that tokens of accounts are signed with. */
  get accountsKey(): string {
    return join(this.folder, "accounts.key");
  }

  async #start(etcd: EtcdServer, cluster: string, nodes: WithNodes | undefined): Promise<void> {
    const { privateKey, publicKey } = generateKeyPairSync("rsa", {
      modulusLength: 2048,
      privateKeyEncoding: { type: "pkcs8", format: "pem" },
      publicKeyEncoding: { type: "spki", format: "pem" },
    });
    const file = (name: string, content: string) => {
      writeFileSync(join(this.folder, name), content, { mode: 0o600 });
      return join(this.folder, name);
    };
    const tokens = ['token-of-admin,admin,admin,"system:masters"', "token-of-guest,guest,guest"];
    const args = [
      `--etcd-servers=${etcd.url}`,
      `--etcd-prefix=/${cluster}`,
      `--bind-address=${this.#address}`,
      `--secure-port=${this.#port}`,
      `--cert-dir=${this.folder}`,
      `--token-auth-file=${file("tokens.csv", `${tokens.join("\n")}\n`)}`,
      `--authorization-mode=${nodes === undefined ? "RBAC" : "Node,RBAC"}`,
      "--service-account-issuer=https://kubernetes.default.svc",
      `--service-account-key-file=${file("accounts.pub", publicKey)}`,
      `--service-account-signing-key-file=${file("accounts.key", privateKey)}`,
      `--service-cluster-ip-range=${nodes?.serviceCidr ?? "10.96.0.0/16"}`,
      ...(nodes === undefined
        ? // Nobody makes the accounts that it asks for.
          ["--disable-admission-plugins=ServiceAccount"]
        : [
            `--advertise-address=${nodes.address}`,
            "--allow-privileged=true",
            "--kubelet-preferred-address-types=InternalIP",
          ]),
      "--v=0",
    ];
    const child = spawn("kube-apiserver", args, {
      cwd: this.folder,
      stdio: ["ignore", "ignore", "pipe"],
      env: { PATH: process.env["PATH"] },
    });
    this.#process = child;
    let said = "";
    child.stderr.on("data", (piece) => {
      said = `${said}${piece}`.slice(-2_000);
    });
    await once(child, "spawn");
    const isReady = () => this.#isReady();
    await untilReady(child, `kube-apiserver at ${this.url}`, longestStartMs, isReady, () => said);
    this.writeKubeconfig(this.kubeconfig, { user: "admin" });
  }

  async #isReady(): Promise<boolean> {
    try {
      return (await this.call("GET", "/readyz")).status === 200;
    } catch {
      return false;
    }
  }
}
