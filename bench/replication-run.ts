/** Replication, or a half of it, in a process of its own, and what it says. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { NODE_FLAGS } from "../setup/node-flags.mjs";
import type { CycleLine, ReplicationOrder } from "./replication-process.ts";
import type { Scratch } from "./scratch.ts";

export type SeenLine = CycleLine & { readonly seenAt: number };

export class ReplicationRun {
  readonly lines: SeenLine[] = [];
  readonly #child;
  readonly #closed: Promise<unknown>;
  #errors = "";

  constructor(order: ReplicationOrder, scratch: Scratch) {
    const program = fileURLToPath(new URL("replication-process.ts", import.meta.url));
    const child = spawn(process.execPath, [...NODE_FLAGS, program], { stdio: ["pipe", "pipe", "pipe"] });
    this.#child = child;
    this.#closed = once(child, "close");
    scratch.defer(async () => {
      child.kill("SIGKILL");
    });
    child.stderr.on("data", (bytes) => {
      this.#errors += String(bytes);
    });
    createInterface({ input: child.stdout }).on("line", (line) => {
      this.lines.push({ ...(JSON.parse(line) as CycleLine), seenAt: Date.now() });
      child.emit("cycle");
    });
    child.stdin.write(`${JSON.stringify(order)}\n`);
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** When the cycle has ended that began after this was asked. */
  async next(): Promise<void> {
    const asked = Date.now();
    while (!this.lines.some(({ asOf }) => Date.parse(asOf) >= asked)) {
      await Promise.race([once(this.#child, "cycle"), this.#closed]);
      if (this.#child.exitCode !== null) throw new Error(`replication ended: ${this.#errors}`);
    }
  }

  /** What is under way goes on. */
  pause(): void {
    this.#child.stdin.write("pause\n");
  }

  resume(): void {
    this.#child.stdin.write("resume\n");
  }

  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#closed;
  }

  /** With a cycle that is exact and found nothing new. */
  async end(): Promise<void> {
    this.#child.stdin.end();
    await this.#closed;
    if (this.#child.exitCode !== 0) throw new Error(`replication ended with ${this.#child.exitCode}: ${this.#errors}`);
  }
}
