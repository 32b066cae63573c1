/** What clients meet before Qdrant, as processes of their own: the public endpoint, and a region's gate. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Region, StoreAddress } from "../../../runtime/domain/region.ts";
import { closedPorts } from "../estates/lonely-region.ts";
import { trust } from "../estates/test-trust.ts";
import { killed } from "../faults/killed.ts";
import { isOk, untilReady } from "../time/until-ready.ts";

interface Server {
  readonly url: string;
  readonly apiKey: string;
  readonly grpcUrl?: string;
}

const longestStartMs = 20_000;
const programs = {
  endpoint: fileURLToPath(new URL("../../../quickstart/processes/endpoint.ts", import.meta.url)),
  gate: fileURLToPath(new URL("../../../runtime/processes/gate.ts", import.meta.url)),
};
const secrets = { clientKey: "the-key-that-clients-have", controlToken: "the-token-of-the-control" };

export class FrontProcess {
  readonly url: string;
  readonly controlUrl: string;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, url: string, controlUrl = url) {
    this.#child = child;
    this.url = url;
    this.controlUrl = controlUrl;
  }

  static async endpoint(folder: string, upstreams: Readonly<Record<string, Server>>): Promise<FrontProcess> {
    return FrontProcess.#start("endpoint", folder, { UPSTREAMS: JSON.stringify(upstreams), STATE: "route.json" });
  }

  static async gate(
    folder: string,
    region: string,
    { apiKey, grpcUrl, url }: Server,
    control: StoreAddress,
    peerControl?: StoreAddress,
    more: Readonly<Record<string, string>> = {},
  ): Promise<FrontProcess> {
    const peer = peerControl === undefined ? {} : { PEER_CONTROL: JSON.stringify(peerControl) };
    const [controlPort] = await closedPorts(1);
    const upstream = JSON.stringify({ url, grpcUrl, apiKey });
    const settings = {
      REGION: region,
      PEER: region === "east" ? "west" : "east",
      TRUST: JSON.stringify(trust),
      UPSTREAM: upstream,
      CONTROL: JSON.stringify(control),
      ...peer,
      ...more,
    };
    const gate = { ...settings, CONTROL_PORT: String(controlPort), STATE: "seen.json" };
    return FrontProcess.#start("gate", folder, gate, `http://127.0.0.1:${controlPort}`);
  }

  static async #start(
    name: keyof typeof programs,
    folder: string,
    settings: Readonly<Record<string, string>>,
    controlUrl?: string,
  ) {
    const [port] = await closedPorts(1);
    mkdirSync(folder, { recursive: true });
    const all = {
      ...settings,
      PORT: String(port),
      CLIENT_KEY: secrets.clientKey,
      CONTROL_TOKEN: secrets.controlToken,
      STATE: join(folder, settings["STATE"] ?? "state.json"),
    };
    const prefix = `QDRANT_DR_${name.toUpperCase()}_`;
    const env = Object.fromEntries(Object.entries(all).map(([key, value]) => [`${prefix}${key}`, value]));
    const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", programs[name]], {
      stdio: "ignore",
      env,
    });
    const front = new FrontProcess(child, `http://127.0.0.1:${port}`, controlUrl);
    await untilReady(child, `the ${name}`, longestStartMs, () => isOk(`${front.controlUrl}/.qdrant-dr/health`));
    return front;
  }

  /** As the region's outputs name the endpoint. */
  get asEndpoint(): Extract<NonNullable<Region["endpoint"]>, { controlUrl: string }> {
    return { url: this.url, controlUrl: `${this.url}/.qdrant-dr/route`, ...secrets };
  }

  /** As the region's outputs name its gate. */
  get asGate(): NonNullable<Region["gate"]> {
    const { controlToken } = secrets;
    const controlUrls = [`${this.controlUrl}/.qdrant-dr/gate`];
    return { url: this.url, controlUrls, controlToken, mode: "availability" };
  }

  /** What an upstream is reached by. */
  get asUpstream(): Server {
    return { url: this.url, apiKey: secrets.clientKey };
  }

  /** SIGTERM: it lets what is under way finish. Answers its exit code. */
  async end(): Promise<number | null> {
    const exit = once(this.#child, "exit");
    this.#child.kill("SIGTERM");
    await exit;
    return this.#child.exitCode;
  }

  async stop(): Promise<void> {
    await killed(this.#child);
  }
}
