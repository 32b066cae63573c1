/** The public endpoint as a process of its own, in front of regions' Qdrants; `stop` ends it. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Region } from "../../runtime/domain/estate/region.ts";
import { closedPorts } from "./lonely-region.ts";

const program = fileURLToPath(new URL("../../runtime/processes/endpoint.ts", import.meta.url));
const longestStartMs = 20_000;

export class EndpointProcess {
  readonly address: NonNullable<Region["endpoint"]>;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, address: NonNullable<Region["endpoint"]>) {
    this.#child = child;
    this.address = address;
  }

  static async start(
    folder: string,
    upstreams: Readonly<Record<string, { readonly url: string; readonly apiKey: string }>>,
  ): Promise<EndpointProcess> {
    const [port] = await closedPorts(1);
    const url = `http://127.0.0.1:${port}`;
    const secrets = { clientKey: "the-key-that-clients-have", controlToken: "the-token-of-the-control" };
    mkdirSync(folder, { recursive: true });
    const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", program], {
      stdio: "ignore",
      env: {
        QDRANT_DR_ENDPOINT_PORT: String(port),
        QDRANT_DR_ENDPOINT_CLIENT_KEY: secrets.clientKey,
        QDRANT_DR_ENDPOINT_CONTROL_TOKEN: secrets.controlToken,
        QDRANT_DR_ENDPOINT_UPSTREAMS: JSON.stringify(upstreams),
        QDRANT_DR_ENDPOINT_STATE: join(folder, "route.json"),
      },
    });
    const endpoint = new EndpointProcess(child, { url, controlUrl: `${url}/.qdrant-dr/route`, ...secrets });
    const deadline = performance.now() + longestStartMs;
    while (!(await fetch(`${url}/.qdrant-dr/health`).catch(() => undefined))?.ok) {
      if (child.exitCode !== null || performance.now() > deadline) throw new Error("the endpoint did not start");
      await sleep(20);
    }
    return endpoint;
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exit = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await exit;
  }
}
