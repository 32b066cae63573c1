/** Two regions in one cluster, a namespace and a store each, made as docs/how-to/kubernetes.md says. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import pulumiKubernetes from "@pulumi/kubernetes/package.json" with { type: "json" };
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import { PulumiStacks, runPulumi } from "../../../runtime/adapters/pulumi/pulumi-stacks.ts";
import { installStandIns } from "../providers/plugins.ts";
import { Cluster } from "./cluster.ts";
import { type Image, productImage, qdrantImage } from "./images.ts";
import { clusterFolder, mountOverlay, nodeAddress, onPath } from "./place.ts";
import { ClusterStore } from "./store.ts";

const checkout = fileURLToPath(new URL("../../..", import.meta.url)).replace(/\/$/, "");
export const regionNames = ["prod", "dr"] as const;
export type RegionName = (typeof regionNames)[number];
export const clientKey = "the-key-of-the-clients";
const clientNamespace = "clients";
const peers = 3;
const gates = 2;

/** Addresses of the cloud's load balancers, which settings name before there are any. */
const networks: Readonly<Record<RegionName, string>> = { prod: "10.99.1", dr: "10.99.2" };
export const gateUrl = (region: RegionName) => `http://${networks[region]}.20:6333`;
const peerUrl = (region: RegionName, index: number) => `http://${networks[region]}.${10 + index}:6333`;
const controlUrl = (region: RegionName, index: number) => `http://${networks[region]}.${30 + index}:6435`;

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly seconds: number;
}

// biome-ignore lint/suspicious/noExplicitAny: settings that a test changes, by path
type Loose = any;

export class ClusterPair {
  readonly cluster: Cluster;
  readonly stores: Readonly<Record<RegionName, ClusterStore>>;
  readonly stacks: PulumiStacks;
  readonly #env = environment();
  readonly #settings: Record<RegionName, Loose>;
  readonly #secrets: Record<RegionName, Loose>;

  private constructor(
    cluster: Cluster,
    stores: Record<RegionName, ClusterStore>,
    settings: Record<RegionName, Loose>,
    secrets: Record<RegionName, Loose>,
  ) {
    this.cluster = cluster;
    this.stores = stores;
    this.#settings = settings;
    this.#secrets = secrets;
    this.stacks = new PulumiStacks({ folder: checkout, env: this.#env });
  }

  /** Everything but the stacks' first `up`. */
  static async start(onProgress: (step: string) => void): Promise<ClusterPair> {
    // What commands write into a checkout goes to the cluster's folder.
    mountOverlay(checkout);
    onProgress("images");
    const images = { product: await productImage(), qdrant: qdrantImage() };
    const stores = {
      prod: new ClusterStore("prod", "10.97.0.11", 18_333),
      dr: new ClusterStore("dr", "10.97.0.12", 18_433),
    };
    const addresses = Object.values(stores).map(({ address }) => address);
    const cluster = await Cluster.start({ addresses, images, balancers }, onProgress);
    onProgress("stores");
    for (const store of Object.values(stores)) {
      await store.start();
      await store.makeBuckets();
    }
    await cluster.api.create("/api/v1/namespaces", { metadata: { name: clientNamespace } });
    const identity = await generateX25519Identity();
    const recipients = [await identityToRecipient(identity), await identityToRecipient(await generateX25519Identity())];
    const secretsOf = (region: RegionName) => ({ identity, clientKey, store: stores[region].keys });
    const pair = new ClusterPair(
      cluster,
      stores,
      { prod: settingsOf("prod", images, recipients), dr: settingsOf("dr", images, recipients) },
      { prod: secretsOf("prod"), dr: secretsOf("dr") },
    );
    await pair.#prepare();
    return pair;
  }

  /** The first epoch and the stacks, by the commands of the documents. */
  async #prepare(): Promise<void> {
    for (const name of ["state", "home"]) mkdirSync(clusterFolder(name));
    installProviders(clusterFolder("home"));
    writeKubeconfig(this.cluster);
    const key = this.#env["QDRANT_DR_SIGNING_KEY_FILE"] ?? "";
    await this.succeed("keys", "new", "--name", "alice", "--file", key);
    const byRegion = (ofStore: (store: ClusterStore) => unknown) =>
      Object.fromEntries(regionNames.map((name) => [name, ofStore(this.stores[name])]));
    const [foundation, credentials] = [clusterFolder("foundation.json"), clusterFolder("keys.json")];
    const regions = byRegion(({ stores }) => ({ stores }));
    writeFileSync(foundation, JSON.stringify({ initialActive: "prod", regions }));
    writeFileSync(credentials, JSON.stringify(byRegion(({ keys }) => keys.write)), { mode: 0o600 });
    const given = ["--foundation", foundation, "--credentials", credentials];
    const { stdout } = await this.succeed("estate", "init", ...given, "--json");
    const { settings } = JSON.parse(stdout) as { settings: Record<RegionName, string> };
    for (const region of regionNames) {
      for (const [, name = "", value = ""] of settings[region].matchAll(/qdrant-dr:(\w+): (.*)/g)) {
        this.#settings[region][name] = JSON.parse(value);
      }
      this.#writeSettings(region);
      await this.#pulumi(["stack", "init", region, "--no-select"]);
      await this.setSecrets(region, {});
    }
  }

  /** Changes settings of a region, which its next `up` reads. */
  changeSettings(region: RegionName, change: (settings: Loose) => void): void {
    change(this.#settings[region]);
    this.#writeSettings(region);
  }

  async setSecrets(region: RegionName, more: Readonly<Record<string, unknown>>): Promise<void> {
    Object.assign(this.#secrets[region], more);
    const args = ["config", "set", "--secret", "secrets", "--stack", region];
    await this.#pulumi(args, JSON.stringify(this.#secrets[region]));
  }

  /** As an operator runs it: `pulumi up`, with the options given. */
  up(region: RegionName, ...options: readonly string[]): Promise<string> {
    return this.#pulumi(["up", "--yes", "--skip-preview", "--stack", region, ...options]);
  }

  destroy(region: RegionName): Promise<string> {
    return this.#pulumi(["destroy", "--yes", "--skip-preview", "--stack", region]);
  }

  /** As the documents bring a pair up: the regions are told of each other as soon as there is something to tell. */
  async upBoth(): Promise<void> {
    await this.up("prod");
    await this.introduce("dr");
    await this.up("dr");
    await this.introduce("prod");
    await this.up("prod");
    for (const region of regionNames) await this.cluster.untilAllReady(region);
  }

  /** Tells a region's stack of the other one. */
  async introduce(region: RegionName): Promise<void> {
    const other = region === "prod" ? "dr" : "prod";
    const peer = await this.#pulumi(["stack", "output", "peer", "--json", "--show-secrets", "--stack", other]);
    await this.setSecrets(region, { peer: JSON.parse(peer) });
  }

  /** A command of the product, as its operator runs it. */
  async run(...args: readonly string[]): Promise<Ended> {
    const startedAt = performance.now();
    const program = join(checkout, "runtime/main.ts");
    const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", program, ...args], {
      cwd: clusterFolder(),
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...this.#env, ...this.#operatorsKey() },
    });
    const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
    return { code: child.exitCode, stdout, stderr, seconds: (performance.now() - startedAt) / 1000 };
  }

  async succeed(...args: readonly string[]): Promise<Ended> {
    const ended = await this.run(...args);
    if (ended.code !== 0) throw new Error(`${args.join(" ")}: ${ended.code}\n${ended.stdout}${ended.stderr}`);
    return ended;
  }

  /** For who reads of a failed test. */
  async tellTroubles(): Promise<void> {
    for (const region of regionNames) {
      console.error(await this.#replicasOf(region, "notes").catch(String));
      console.error(await this.cluster.troubles(region));
    }
  }

  /** What each peer of a region holds of a collection and knows of its replicas. */
  async #replicasOf(region: RegionName, collection: string): Promise<string> {
    const { qdrant } = await this.stacks.region(region);
    const said = qdrant.peers.map(async (url) => {
      const answer = await fetch(`${url}/collections/${collection}/cluster`, {
        headers: { "api-key": qdrant.apiKey },
        signal: AbortSignal.timeout(5_000),
      });
      return `${region} ${url}: ${await answer.text()}`;
    });
    return (await Promise.all(said.map((one) => one.catch((error: Error) => error.message)))).join("\n");
  }

  async stop(): Promise<void> {
    await this.cluster.stop();
    await Promise.all(Object.values(this.stores).map((store) => store.kill()));
  }

  #operatorsKey(): Record<string, string> {
    try {
      return { QDRANT_DR_SIGNING_KEY: readFileSync(this.#env["QDRANT_DR_SIGNING_KEY_FILE"] ?? "", "utf8").trim() };
    } catch {
      // It is made by the first command.
      return {};
    }
  }

  #writeSettings(region: RegionName): void {
    const file = join(checkout, `Pulumi.${region}.yaml`);
    const [, salt = ""] = /^(encryptionsalt: .*\n)/m.exec(readFileSync(file, "utf8")) ?? [];
    const kept = /^ {2}qdrant-dr:secrets:\n {4}secure: .*\n/m.exec(readFileSync(file, "utf8"))?.[0] ?? "";
    const lines = Object.entries(this.#settings[region]).map(
      ([name, value]) => `  qdrant-dr:${name}: ${JSON.stringify(value)}\n`,
    );
    writeFileSync(file, `${salt}config:\n${lines.join("")}${kept}`);
  }

  #pulumi(args: readonly string[], input = ""): Promise<string> {
    return runPulumi(args, { cwd: checkout, env: this.#env, input });
  }
}

/** Whose provider the stacks are made with. */
export const isOfficialProvider = onPath("pulumi-resource-kubernetes") !== undefined;

function installProviders(home: string): void {
  const official = onPath("pulumi-resource-kubernetes");
  installStandIns(home, official === undefined ? ["kubernetes", "random"] : ["random"]);
  if (official === undefined) return;
  const folder = join(home, "plugins", `resource-kubernetes-v${pulumiKubernetes.version}`);
  mkdirSync(folder, { recursive: true });
  symlinkSync(official, join(folder, "pulumi-resource-kubernetes"));
}

function environment(): Record<string, string> {
  return {
    KUBECONFIG: clusterFolder("kubeconfig"),
    PULUMI_BACKEND_URL: `file://${clusterFolder("state")}`,
    PULUMI_HOME: clusterFolder("home"),
    PULUMI_CONFIG_PASSPHRASE: "of-a-test",
    PULUMI_SKIP_UPDATE_CHECK: "true",
    QDRANT_DR_SIGNING_KEY_FILE: clusterFolder("alice.signing-key"),
    NODE_COMPILE_CACHE: clusterFolder("compiled"),
  };
}

/** A context for each region, as if each had a cluster of its own. */
function writeKubeconfig({ api }: Cluster): void {
  const cluster = { server: api.url, "certificate-authority-data": api.certificate.toString("base64") };
  const config = {
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "cluster", cluster }],
    users: [{ name: "admin", user: { token: "token-of-admin" } }],
    contexts: regionNames.map((name) => ({ name, context: { cluster: "cluster", user: "admin" } })),
  };
  writeFileSync(clusterFolder("kubeconfig"), JSON.stringify(config), { mode: 0o600 });
}

const balancers = Object.fromEntries(
  regionNames.map((region) => {
    const addressed = (count: number, name: (index: number) => string, first: number) =>
      Array.from({ length: count }, (_, index) => [name(index), `${networks[region]}.${first + index}`]);
    return [
      region,
      Object.fromEntries([
        ...addressed(peers, (index) => `qdrant-${index}-outside`, 10),
        ...addressed(1, () => "qdrant-dr-gate", 20),
        ...addressed(gates, (index) => `qdrant-dr-gate-${index}-control`, 30),
      ]),
    ];
  }),
);

function settingsOf(
  region: RegionName,
  images: Record<"product" | "qdrant", Image>,
  recipients: readonly string[],
): Loose {
  const urls = (count: number, url: (region: RegionName, index: number) => string) =>
    Array.from({ length: count }, (_, index) => url(region, index));
  const privately = { cidrs: ["10.0.0.0/8"], loadBalancers: { annotations: {} } };
  return {
    peer: region === "prod" ? "dr" : "prod",
    initialRole: region === "prod" ? "active" : "standby",
    platform: "kubernetes",
    store: "s3",
    objectives: { rtoMinutes: 30, rpoMinutes: 15 },
    kubernetes: {
      context: region,
      namespace: region,
      image: images.product.name,
      qdrant: {
        image: images.qdrant.name,
        replicas: peers,
        storageGib: 2,
        resources: { cpu: "2", memory: "1Gi" },
        outside: { urls: urls(peers, peerUrl), ...privately },
      },
      replicate: { everySeconds: 10 },
      recipients,
      clientNamespaces: [clientNamespace],
      clientCidrs: [`${nodeAddress}/32`],
      gate: {
        url: gateUrl(region),
        plaintext: true,
        replicas: gates,
        service: { type: "LoadBalancer" },
        control: { urls: urls(gates, controlUrl), ...privately },
      },
    },
  };
}
