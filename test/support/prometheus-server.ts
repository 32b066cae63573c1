/** A real Prometheus on a free port, with rules, that scrapes one target. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { killed } from "./killed.ts";
import { closedPorts } from "./lonely-region.ts";
import { isOk, untilReady } from "./until-ready.ts";

const longestStartMs = 20_000;

export class PrometheusServer {
  readonly url: string;
  readonly #child: ChildProcess;
  readonly #folder: string;

  private constructor(child: ChildProcess, url: string, folder: string) {
    this.#child = child;
    this.url = url;
    this.#folder = folder;
  }

  static async start(target: string, rules: readonly object[]): Promise<PrometheusServer> {
    const [port] = await closedPorts(1);
    const folder = mkdtempSync(join(tmpdir(), "qdrant-dr-prometheus-"));
    // JSON is YAML too.
    writeFileSync(join(folder, "rules.yml"), JSON.stringify({ groups: [{ name: "rules", rules }] }));
    const config = {
      global: { scrape_interval: "1s", evaluation_interval: "1s" },
      rule_files: ["rules.yml"],
      scrape_configs: [{ job_name: "exporter", static_configs: [{ targets: [new URL(target).host] }] }],
    };
    writeFileSync(join(folder, "prometheus.yml"), JSON.stringify(config));
    const args = [
      `--config.file=${join(folder, "prometheus.yml")}`,
      `--storage.tsdb.path=${join(folder, "data")}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ];
    const child = spawn("prometheus", args, { cwd: folder, stdio: "ignore" });
    const server = new PrometheusServer(child, `http://127.0.0.1:${port}`, folder);
    await untilReady(child, "Prometheus", longestStartMs, () => isOk(`${server.url}/-/ready`));
    return server;
  }

  /** Throws when Prometheus refuses the query. */
  async query(expr: string): Promise<{ metric: Record<string, string>; value: [number, string] }[]> {
    return (await this.#ask(`query?${new URLSearchParams({ query: expr })}`)).result;
  }

  /** What was wrong with each rule when it was last run; empty where it was not run yet. */
  async rules(): Promise<{ name: string; health: string; lastError?: string }[]> {
    const { groups } = await this.#ask("rules");
    return groups.flatMap(({ rules }: { rules: object[] }) => rules);
  }

  async stop(): Promise<void> {
    await killed(this.#child);
    rmSync(this.#folder, { recursive: true, force: true });
  }

  // biome-ignore lint/suspicious/noExplicitAny: the data of any question
  async #ask(path: string): Promise<any> {
    const answer = await fetch(`${this.url}/api/v1/${path}`);
    const body = (await answer.json()) as { status: string; error?: string; data: unknown };
    if (body.status !== "success") throw new Error(`${path}: ${body.error}`);
    return body.data;
  }
}
