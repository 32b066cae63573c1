/** The command line as a user runs it: a process, what it says while it runs, and every command line it starts. */
import { type ChildProcessByStdio, type SpawnOptions, spawn } from "node:child_process";
import { once } from "node:events";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { checkAnswer } from "./checked-cli.ts";
import { runningProcesses } from "./estates/estate-remains.ts";

const launcher = fileURLToPath(new URL("../../bin/qdrant-dr", import.meta.url));
const program = fileURLToPath(new URL("../../runtime/main.ts", import.meta.url));
const lookEveryMs = 100;

export class Product {
  readonly #args: readonly string[];
  readonly #child: ChildProcessByStdio<null, Readable, Readable>;
  readonly #ended: Promise<unknown>;
  readonly #listeners = new Set<() => void>();
  readonly #lineSeconds: number[] = [];
  readonly #startedAt = performance.now();
  #endedAt: number | undefined;
  #unended = "";
  stdout = "";
  /** Whole lines; progress in words. */
  stderr = "";

  /** @param isDirect without the launcher, so that the process is the command itself. */
  private constructor(args: readonly string[], isDirect: boolean, { cwd, env }: Pick<SpawnOptions, "cwd" | "env">) {
    this.#args = args;
    const direct = ["--disable-warning=ExperimentalWarning", program];
    this.#child = spawn(isDirect ? process.execPath : launcher, [...(isDirect ? direct : []), ...args], {
      stdio: ["ignore", "pipe", "pipe"],
      cwd,
      env,
    });
    this.#child.stdout.on("data", (piece) => (this.stdout += String(piece)));
    this.#child.stderr.on("data", (piece) => {
      this.#unended += String(piece);
      const lines = this.#unended.split("\n");
      this.#unended = lines.pop() ?? "";
      for (const line of lines) this.stderr += `${inWords(line)}\n`;
      const whole = this.stderr.split("\n").length - 1;
      while (this.#lineSeconds.length < whole) this.#lineSeconds.push(this.seconds);
      for (const listener of [...this.#listeners]) listener();
    });
    this.#ended = once(this.#child, "close");
    this.#child.once("exit", () => {
      this.#endedAt = performance.now();
    });
  }

  /** Through `bin/qdrant-dr`. */
  static start(args: readonly string[], estates: string): Product {
    return new Product(args, false, { env: { ...process.env, QDRANT_DR_ESTATES: estates } });
  }

  /** The command's own process, to be killed alone. */
  static startDirect(args: readonly string[], estates: string): Product {
    return new Product(args, true, { env: { ...process.env, QDRANT_DR_ESTATES: estates } });
  }

  /** In this folder, with nothing but this environment. */
  static startIn(cwd: string, args: readonly string[], env: NodeJS.ProcessEnv): Product {
    return new Product(args, true, { cwd, env });
  }

  /** How long it has run, or ran. */
  get seconds(): number {
    return ((this.#endedAt ?? performance.now()) - this.#startedAt) / 1000;
  }

  get wasKilled(): boolean {
    return this.#child.signalCode === "SIGKILL";
  }

  /** When each line came on stderr, in seconds from its start. */
  get lineSeconds(): readonly number[] {
    return this.#lineSeconds;
  }

  /** Returns when a line on stderr matches; throws when it ends without it. */
  says(line: RegExp): Promise<void> {
    return this.#until(`said ${line}`, () =>
      this.stderr
        .split("\n")
        .slice(0, -1)
        .some((each) => line.test(each)),
    );
  }

  /** The same for a number of lines. */
  saysLines(count: number): Promise<void> {
    return this.#until(`said ${count} lines`, () => this.#lineSeconds.length >= count);
  }

  async #until(what: string, isSo: () => boolean): Promise<void> {
    let listener = () => {};
    const heard = new Promise<void>((resolve) => {
      listener = () => {
        if (isSo()) resolve();
      };
      this.#listeners.add(listener);
      listener();
    });
    try {
      await Promise.race([heard, this.#ended]);
    } finally {
      this.#listeners.delete(listener);
    }
    if (!isSo()) throw new Error(`it never ${what}:\n${this.stdout}\n${this.stderr}`);
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Its exit code; null when a signal ended it. */
  async end(): Promise<number | null> {
    await this.#ended;
    return this.#child.exitCode;
  }

  /** The object in the last line of stdout; when the command succeeded, as the command declares it. */
  get json(): unknown {
    const line = this.stdout.trimEnd().split("\n").at(-1) ?? "";
    let json: unknown;
    try {
      json = JSON.parse(line);
    } catch {
      throw new Error(`no JSON in the last line of:\n${this.stdout}\n${this.stderr}`);
    }
    if (this.#child.exitCode === 0) checkAnswer(this.#args, json);
    return json;
  }
}

/** Command lines of all processes of this machine, looked up again and again until the answer is called. */
export function watchCommandLines(): () => readonly string[] {
  const seen = new Set<string>();
  const look = () => {
    for (const { commandLine } of runningProcesses()) seen.add(commandLine);
  };
  look();
  const timer = setInterval(look, lookEveryMs);
  return () => {
    clearInterval(timer);
    return [...seen];
  };
}

/** Progress as `step: detail`; every other line as it is. */
function inWords(line: string): string {
  if (!line.startsWith('{"event":"progress"')) return line;
  const { detail, step } = JSON.parse(line) as { step: string; detail?: string };
  return detail === undefined ? step : `${step}: ${detail}`;
}
