/** A real Prometheus on a free port, with rules, that scrapes targets. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { closedPorts } from "../estates/lonely-region.ts";
import { killed } from "../faults/killed.ts";
import { isOk, untilReady } from "../time/until-ready.ts";

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

  static async start(targets: readonly string[], rules: readonly object[]): Promise<PrometheusServer> {
    const [port] = await closedPorts(1);
    const folder = mkdtempSync(join(tmpdir(), "qdrant-dr-prometheus-"));
    // JSON is YAML too.
    writeFileSync(join(folder, "rules.yml"), JSON.stringify({ groups: [{ name: "rules", rules }] }));
    const config = {
      global: { scrape_interval: "1s", evaluation_interval: "1s" },
      rule_files: ["rules.yml"],
      scrape_configs: [
        { job_name: "exporter", static_configs: [{ targets: targets.map((target) => new URL(target).host) }] },
      ],
    };
    writeFileSync(join(folder, "prometheus.yml"), JSON.stringify(config));
    const args = [
      `--config.file=${join(folder, "prometheus.yml")}`,
      `--storage.tsdb.path=${join(folder, "data")}`,
      `--web.listen-address=127.0.0.1:${port}`,
      // What was scraped last counts at any time that is asked about; what is not served any more is stale at once.
      "--query.lookback-delta=1000h",
    ];
    const child = spawn("prometheus", args, { cwd: folder, stdio: "ignore" });
    const server = new PrometheusServer(child, `http://127.0.0.1:${port}`, folder);
    await untilReady(child, "Prometheus", longestStartMs, () => isOk(`${server.url}/-/ready`));
    return server;
  }

  /** Now, or as it would be then. Throws when Prometheus refuses the query. */
  async query(expr: string, at?: Date): Promise<{ metric: Record<string, string>; value: [number, string] }[]> {
    const time = at === undefined ? {} : { time: String(at.getTime() / 1000) };
    return (await this.#ask(`query?${new URLSearchParams({ query: expr, ...time })}`)).result;
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
