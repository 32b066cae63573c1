/** Serves metrics in Prometheus' text format. Each request is answered from what is known already. */
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Gauge, Registry } from "prom-client";
import { type MetricName, metrics, type Sample } from "../domain/monitoring/metrics.ts";
import { hasErrno } from "../errno.ts";
import { DrError } from "../errors.ts";

export class MetricsServer {
  readonly url: string;
  readonly #stop: () => Promise<void>;

  private constructor(url: string, stop: () => Promise<void>) {
    this.url = url;
    this.#stop = stop;
  }

  /** @param port 0: any that is free. */
  static async start(
    { host, port }: { readonly host: string; readonly port: number },
    samples: () => readonly Sample[],
    problem: () => string | undefined = () => undefined,
  ): Promise<MetricsServer> {
    const registry = new SampleRegistry();
    const server = createServer((incoming, outgoing) => {
      void answer(incoming, outgoing, () => registry.text(samples()), problem);
    });
    try {
      await once(server.listen(port, host), "listening");
    } catch (cause) {
      if (!hasErrno(cause, "EADDRINUSE")) throw cause;
      throw new DrError("PORT_TAKEN", `port ${port} of ${host} is taken`, {
        hint: "give another one with --port",
        cause,
      });
    }
    const { port: bound } = server.address() as AddressInfo;
    return new MetricsServer(`http://${host.includes(":") ? `[${host}]` : host}:${bound}`, async () => {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    });
  }

  stop(): Promise<void> {
    return this.#stop();
  }
}

async function answer(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  text: () => Promise<string>,
  problem: () => string | undefined,
): Promise<void> {
  const path = incoming.url?.split("?")[0];
  if (incoming.method !== "GET" && incoming.method !== "HEAD") return end(outgoing, 405, "GET\n");
  if (path === "/healthz") return end(outgoing, 200, "ok\n");
  if (path === "/readyz") {
    const found = problem();
    return end(outgoing, found === undefined ? 200 : 503, `${found ?? "ok"}\n`);
  }
  if (path !== "/metrics") return end(outgoing, 404, "/metrics\n");
  outgoing.setHeader("content-type", Registry.PROMETHEUS_CONTENT_TYPE);
  end(outgoing, 200, await text());
}

function end(outgoing: ServerResponse, status: number, body: string): void {
  outgoing.statusCode = status;
  outgoing.end(body);
}

/** What is not among the samples any more is not served any more. */
class SampleRegistry {
  readonly #registry = new Registry();
  readonly #gauges: ReadonlyMap<MetricName, Gauge>;

  constructor() {
    const gauges = Object.entries(metrics).map(([name, { help, labels }]) => {
      return [
        name as MetricName,
        new Gauge({ name, help, labelNames: [...labels], registers: [this.#registry] }),
      ] as const;
    });
    this.#gauges = new Map(gauges);
  }

  text(samples: readonly Sample[]): Promise<string> {
    for (const gauge of this.#gauges.values()) gauge.reset();
    for (const { labels, metric, value } of samples) this.#gauges.get(metric)?.set({ ...labels }, value);
    return this.#registry.metrics();
  }
}
