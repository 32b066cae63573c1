/** What a run leaves for the time of the run only: a folder, servers, child processes; all gone afterwards. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export class Scratch {
  readonly folder = mkdtempSync(join(tmpdir(), "qdrant-dr-bench-"));
  readonly #clean: (() => Promise<unknown>)[] = [];
  #isEnding = false;

  /** Last come, first cleaned. */
  defer(clean: () => Promise<unknown>): void {
    this.#clean.push(clean);
  }

  async end(): Promise<void> {
    this.#isEnding = true;
    for (const clean of this.#clean.splice(0).reverse()) {
      await clean().catch((error: unknown) => process.stderr.write(`cleaning up: ${error}\n`));
    }
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 3 });
  }

  /** Runs a program in a process group of its own; answers what it printed and how long it took, start and end included. */
  async run(
    command: string,
    args: readonly string[],
    { env = process.env, input = "" }: { env?: NodeJS.ProcessEnv; input?: string } = {},
  ): Promise<{ seconds: number; output: string }> {
    if (this.#isEnding) throw new Error("interrupted");
    const begun = performance.now();
    const child = spawn(command, args, { env, detached: true, stdio: ["pipe", "pipe", "pipe"] });
    this.defer(() => endGroup(child));
    const output: Buffer[] = [];
    const errors: Buffer[] = [];
    child.stdout.on("data", (bytes: Buffer) => output.push(bytes));
    child.stderr.on("data", (bytes: Buffer) => errors.push(bytes));
    child.stdin.on("error", () => undefined);
    child.stdin.end(input);
    const [code] = await once(child, "close");
    const seconds = (performance.now() - begun) / 1000;
    if (code !== 0)
      throw new Error(`${command} ${args.join(" ").slice(0, 300)}: exit code ${code}\n${Buffer.concat(errors)}`);
    return { seconds, output: Buffer.concat(output).toString("utf8") };
  }

  /** Lines of bash; a pipe fails with its first command. `cpuSeconds` are those of all that they started. */
  async bash(
    lines: string,
    env: NodeJS.ProcessEnv = process.env,
  ): Promise<{ seconds: number; output: string; cpuSeconds: number }> {
    const { output, seconds } = await this.run("bash", ["-euo", "pipefail", "-c", `${lines}\ntimes`], { env });
    const printed = output.trimEnd().split("\n");
    return { seconds, output: printed.slice(0, -2).join("\n"), cpuSeconds: cpuSeconds(printed.at(-1) ?? "") };
  }
}

/** Of what `times` says of the children: `0m1.234s 0m0.567s`. */
function cpuSeconds(line: string): number {
  const parts = [...line.matchAll(/(\d+)m([\d.]+)s/g)];
  return parts.reduce((sum, [, minutes, seconds]) => sum + 60 * Number(minutes) + Number(seconds), 0);
}

async function endGroup(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const closed = once(child, "close");
  process.kill(-child.pid, "SIGKILL");
  await closed;
}
