/**
 * The stacks of two regions in the cloud, and the program that makes what both keep there, under the real engine: clusters
 * are real API servers without controllers, AWS is an emulator, the providers are stand-ins.
 */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import { killEstate, markAs } from "../../../quickstart/adapters/local-process.ts";
import { PulumiStacks, runPulumi } from "../../../runtime/adapters/pulumi/pulumi-stacks.ts";
import { installOperatorSchemas } from "../operator-schemas.ts";
import { installStandIns } from "../providers/plugins.ts";
import { AwsEmulator } from "../servers/aws-emulator.ts";
import { EtcdServer, KubernetesServer } from "../servers/kubernetes-server.ts";
import { trust } from "./test-trust.ts";

const checkout = fileURLToPath(new URL("../../..", import.meta.url));
const digest = `sha256:${"0".repeat(63)}1`;
export const regionNames = ["prod", "dr"] as const;
export type RegionName = (typeof regionNames)[number];

export interface UpResult {
  readonly changes: Readonly<Record<string, number>>;
  /** "create prod-namespace" */
  readonly events: readonly string[];
}

export class CloudEstate {
  readonly clusters: Readonly<Record<RegionName, KubernetesServer>>;
  readonly emulator: AwsEmulator;
  readonly stacks: PulumiStacks;
  /** The same, whose `up` takes what the state names to be there. */
  readonly stacksAsRemembered: PulumiStacks;
  readonly bootstrap: PulumiStacks;
  readonly recipients: readonly string[];
  readonly folder: string;
  readonly #etcd: EtcdServer;
  readonly #identity: string;
  readonly #env: Readonly<Record<string, string>>;

  private constructor(
    folder: string,
    servers: { etcd: EtcdServer; emulator: AwsEmulator; clusters: Record<RegionName, KubernetesServer> },
    keys: { identity: string; recipients: string[] },
  ) {
    this.folder = folder;
    this.#etcd = servers.etcd;
    this.emulator = servers.emulator;
    this.clusters = servers.clusters;
    this.#identity = keys.identity;
    this.recipients = keys.recipients;
    this.#env = {
      ...this.emulator.env,
      ...markAs({ estate: basename(folder), name: "pulumi" }),
      KUBECONFIG: join(folder, "kubeconfig"),
      PULUMI_BACKEND_URL: `file://${join(folder, "state")}`,
      PULUMI_HOME: join(folder, "home"),
      PULUMI_CONFIG_PASSPHRASE: "of-a-test",
      // Every update loads the same large libraries.
      NODE_COMPILE_CACHE: join(folder, "compiled"),
    };
    const settingsFile = (stack: string) => join(this.#settings(stack), `Pulumi.${stack}.yaml`);
    const project = { folder: checkout, env: this.#env, settingsFile };
    this.stacks = new PulumiStacks({ ...project, looksFirst: true });
    this.stacksAsRemembered = new PulumiStacks(project);
    this.bootstrap = new PulumiStacks({ folder: join(checkout, "bootstrap"), env: this.#env, settingsFile });
  }

  static async start(): Promise<CloudEstate> {
    const folder = mkdtempSync(join(tmpdir(), "qdrant-dr-cloud-"));
    for (const name of ["state", "home"]) mkdirSync(join(folder, name));
    installStandIns(join(folder, "home"), ["aws", "kubernetes", "random"]);
    const etcd = await EtcdServer.start();
    const [emulator, prod, dr] = await Promise.all([
      AwsEmulator.start(),
      ...regionNames.map((region) => KubernetesServer.start(etcd, region)),
    ]);
    if (prod === undefined || dr === undefined) throw new Error("a cluster for each region");
    await Promise.all([prod, dr].map(installOperatorSchemas));
    const identity = await generateX25519Identity();
    const recipients = [await identityToRecipient(identity), await identityToRecipient(await generateX25519Identity())];
    const estate = new CloudEstate(folder, { etcd, emulator, clusters: { prod, dr } }, { identity, recipients });
    estate.actAs("admin");
    await estate.#init("estate");
    return estate;
  }

  async stop(): Promise<void> {
    await this.killUpdates();
    await Promise.all([this.emulator, ...Object.values(this.clusters)].map((server) => server.stop()));
    await this.#etcd.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Who the engine is in the clusters from now on. */
  actAs(user: "admin" | "guest"): void {
    const clusters = regionNames.map((name) => {
      const { certificate, url } = this.clusters[name];
      return { name, cluster: { server: url, "certificate-authority-data": certificate.toString("base64") } };
    });
    const config = {
      clusters,
      users: [{ name: user, user: { token: `token-of-${user}` } }],
      contexts: regionNames.map((name) => ({ name, context: { cluster: name, user } })),
    };
    writeFileSync(this.#env["KUBECONFIG"] ?? "", JSON.stringify(config), { mode: 0o600 });
  }

  /** SIGKILL for the engine, the program and the providers of every update that runs. */
  killUpdates(): Promise<void> {
    return killEstate(basename(this.folder), ["pulumi"]);
  }

  /** Makes a region's stack: the committed settings, who is believed in tests, and what only its operator knows. */
  async init(region: RegionName, known: Readonly<Record<string, unknown>>): Promise<void> {
    await this.#init(region);
    const lines = Object.entries({ trust, ...known }).map(
      ([name, value]) => `  qdrant-dr:${name}: ${JSON.stringify(value)}\n`,
    );
    const outside = {
      urls: [0, 1, 2].map((index) => `http://qdrant-${index}.${region}.example:6333`),
      cidrs: ["10.0.0.0/8"],
      loadBalancers: { annotations: { "example.org/internal": "true" } },
    };
    const receiver = { kind: "webhook", secret: { name: "alerts", key: "url" } };
    const claims = [{ claim: "files", path: "/srv/files" }];
    const monitoring = { operator: { namespace: "monitoring", labels: { release: "prometheus" }, receiver } };
    this.edit(region, (text) =>
      text
        .replace(
          /( +)qdrant:\n/,
          `$&$1  image: docker.io/qdrant/qdrant@${digest}\n$1  outside: ${JSON.stringify(outside)}\n`,
        )
        .replace(
          /( +)namespace: .*\n/,
          `$&$1image: registry.example/qdrant-dr@${digest}\n$1recipients: ${JSON.stringify(this.recipients)}\n$1gate: { url: "https://gate.${region}.example" }\n$1monitoring: ${JSON.stringify(monitoring)}\n$1claims: ${JSON.stringify(claims)}\n`,
        )
        .replace(/config:\n/, `$&${lines.join("")}`),
    );
    await this.setSecrets(region, {});
  }

  async setSecrets(region: RegionName, more: Readonly<Record<string, unknown>>): Promise<void> {
    const input = JSON.stringify({ identity: this.#identity, clientKey: "the-key-of-the-clients", ...more });
    await this.#pulumi(["config", "set", "--secret", "secrets", "--stack", region], region, input);
  }

  edit(stack: string, change: (settings: string) => string): void {
    const file = join(this.#settings(stack), `Pulumi.${stack}.yaml`);
    writeFileSync(file, change(readFileSync(file, "utf8")));
  }

  /** An output of the bootstrap program. */
  async bootstrapOutput(name: string): Promise<unknown> {
    return JSON.parse(await this.#pulumi(["stack", "output", name, "--json", "--stack", "estate"], "estate"));
  }

  /** @throws when it changes something, or breaks a rule of the pack. */
  upUnchanged(region: RegionName, policyPack: string): Promise<string> {
    const file = join(this.#settings(region), `Pulumi.${region}.yaml`);
    const args = ["up", "--yes", "--skip-preview", "--expect-no-changes", "--policy-pack", policyPack];
    return runPulumi([...args, "--config-file", file, "--stack", region], { cwd: checkout, env: this.#env });
  }

  #settings(stack: string): string {
    return join(this.folder, `settings-${stack}`);
  }

  #pulumi(args: readonly string[], stack: string, input = ""): Promise<string> {
    return runPulumi(args, { cwd: this.#settings(stack), env: this.#env, input });
  }

  async #init(stack: string): Promise<void> {
    const project = stack === "estate" ? join(checkout, "bootstrap") : checkout;
    mkdirSync(this.#settings(stack));
    for (const name of ["Pulumi.yaml", `Pulumi.${stack}.yaml`])
      cpSync(join(project, name), join(this.#settings(stack), name));
    await this.#pulumi(["stack", "init", stack, "--no-select"], stack);
  }
}

/** @param onEvent hears of each change, as it is made. */
export async function up(
  stacks: PulumiStacks,
  stack: string,
  onEvent: (text: string) => void = () => {},
): Promise<UpResult> {
  const events: string[] = [];
  const { changes } = await stacks.up(stack, ({ kind, text }) => {
    if (kind !== "resource") return;
    events.push(text);
    onEvent(text);
  });
  return { changes, events };
}
