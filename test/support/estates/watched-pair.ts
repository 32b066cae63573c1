/** The exporters of both regions of a practice, and a Prometheus that is asked whether the condition of an alert holds. */
import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { EstateRegion } from "../../../quickstart/adapters/estate-settings.ts";
import { alertsOf } from "../../../runtime/domain/monitoring/alerts.ts";
import { kubernetesSchema } from "../../../runtime/domain/settings/kubernetes-settings.ts";
import { systemClock } from "../../../runtime/time/system-clock.ts";
import { waitUntil } from "../../../runtime/time/wait-until.ts";
import { killed } from "../faults/killed.ts";
import { PrometheusServer } from "../servers/prometheus-server.ts";
import { closedPorts } from "./lonely-region.ts";
import type { PracticePair } from "./practice-pair.ts";

const program = fileURLToPath(new URL("../../../runtime/main.ts", import.meta.url));
const peers = { primary: "standby", standby: "primary" } as const;
const longestMs = 90_000;

export class WatchedPair {
  readonly #pair: PracticePair;
  readonly #prometheus: PrometheusServer;
  readonly #ports: Readonly<Record<EstateRegion, number>>;
  readonly #exporters: Record<EstateRegion, ChildProcess>;

  private constructor(
    pair: PracticePair,
    prometheus: PrometheusServer,
    ports: Readonly<Record<EstateRegion, number>>,
    exporters: Record<EstateRegion, ChildProcess>,
  ) {
    this.#pair = pair;
    this.#prometheus = prometheus;
    this.#ports = ports;
    this.#exporters = exporters;
  }

  static async start(pair: PracticePair): Promise<WatchedPair> {
    const [primary = 0, standby = 0] = await closedPorts(2);
    const ports = { primary, standby };
    const targets = Object.values(ports).map((port) => `http://127.0.0.1:${port}`);
    const prometheus = await PrometheusServer.start(targets, []);
    const exporters = {
      primary: startExporter(pair, "primary", primary),
      standby: startExporter(pair, "standby", standby),
    };
    return new WatchedPair(pair, prometheus, ports, exporters);
  }

  async stop(): Promise<void> {
    await Promise.all([this.#prometheus.stop(), ...Object.values(this.#exporters).map(killed)]);
  }

  async killExporter(stack: EstateRegion): Promise<void> {
    await killed(this.#exporters[stack]);
  }

  reviveExporter(stack: EstateRegion): void {
    this.#exporters[stack] = startExporter(this.#pair, stack, this.#ports[stack]);
  }

  /** Returns when the alert's condition holds for the region, now or as things stand at a later time. */
  holds(alert: string, stack: EstateRegion, at?: Date): Promise<void> {
    return this.#until(alert, stack, at, true);
  }

  /** Returns when it does not. */
  isOver(alert: string, stack: EstateRegion, at?: Date): Promise<void> {
    return this.#until(alert, stack, at, false);
  }

  async #until(alert: string, stack: EstateRegion, at: Date | undefined, wanted: boolean): Promise<void> {
    const { expr } = ruleOf(alert, stack);
    const what = `${alert} of ${stack} ${wanted ? "to hold" : "to be over"}: ${expr}`;
    await waitUntil(systemClock, { what, withinMs: longestMs, everyMs: 200 }, async () => {
      // Without the exporter nothing holds but that it is gone.
      if (!wanted && (await this.#prometheus.query(`qdrant_dr_exporter_info{region="${stack}"}`)).length === 0)
        return false;
      return (await this.#prometheus.query(expr, at)).length > 0 === wanted;
    });
  }
}

function ruleOf(alert: string, stack: EstateRegion) {
  const rules = alertsOf({
    region: stack,
    peer: peers[stack],
    namespace: "practice",
    hasGate: true,
    objectives: { rpoMinutes: 15 },
    schedules: kubernetesSchema.shape.schedules.parse({}),
    replicate: { everySeconds: 10, tiers: {} },
  });
  const rule = rules.find((each) => each.alert === alert);
  if (rule === undefined) throw new Error(`there is no alert ${alert}`);
  return rule;
}

function startExporter(pair: PracticePair, stack: EstateRegion, port: number): ChildProcess {
  const args = ["exporter", "--stack", stack, "--outputs", pair.outputs, "--every", "1", "--port", String(port)];
  return spawn(process.execPath, ["--disable-warning=ExperimentalWarning", program, ...args], {
    stdio: "ignore",
  });
}
