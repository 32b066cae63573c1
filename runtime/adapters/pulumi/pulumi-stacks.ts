/**
 * The stacks of this project, through Pulumi's Automation API: the same program that an operator runs with `pulumi up`.
 * Stacks are selected, never created: a slip in a name must not make a fresh region.
 */
import { spawn } from "node:child_process";
import type { EngineEvent, PulumiCommand, Stack } from "@pulumi/pulumi/automation/index.js";
import { type Region, regionSchema } from "../../domain/region.ts";
import { DrError } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { StackEvent, StackExports, Stacks } from "../../ports/stacks.ts";
import { type RetryPolicy, retry } from "../../time/retry.ts";
import { systemClock } from "../../time/system-clock.ts";
import { mendCutCheckpoint } from "./cut-checkpoint.ts";
import { refusalIn } from "./pulumi-refusals.ts";
import { areHeldHere, removeDeadLocks } from "./update-lock.ts";

export interface PulumiProject {
  /** Folder of Pulumi.yaml. */
  readonly folder: string;
  /** Beside the caller's environment: backend, passphrase file. */
  readonly env: Readonly<Record<string, string>>;
  /** What stands before a stack's own name where it is given in full: `organization/project/`. */
  readonly owner?: string;
  /** How long the backend may take to answer a read. */
  readonly answerMs?: number;
  /**
   * Whether an `up` first looks at what is there. A cluster that was rebuilt empty holds nothing that the state names: without a look an
   * `up` fails at what it changes, and does not make again what it would not change.
   */
  readonly looksFirst?: boolean;
  /** Makes Pulumi ready, before it is first used: who names a stack may never use it. */
  readonly ready?: () => Promise<unknown>;
  /** The stack's settings file, where it is not Pulumi.<stack>.yaml in the project's folder. */
  readonly settingsFile?: (stack: string) => string;
}

/** The project's name in Pulumi.yaml. */
const projectName = "qdrant-dr";
/** A run that was killed may leave its `pulumi` alive for a while. */
const othersEndWithinMs = 60_000;
const askAgainMs = 1_000;
const alwaysSet = { PULUMI_SKIP_UPDATE_CHECK: "true" };

export class PulumiStacks implements Stacks, StackExports {
  readonly #project: PulumiProject;
  readonly #clock: Clock;

  constructor(project: PulumiProject, clock: Clock = systemClock) {
    this.#project = project;
    this.#clock = clock;
  }

  async region(stack: string): Promise<Region> {
    const args = ["stack", "output", "region", "--json", "--show-secrets", "--stack", this.#fullName(stack)];
    const text = await this.#run(stack, args);
    const result = regionSchema.safeParse(parsedOutput(text));
    if (result.success) return result.data;
    const [issue] = result.error.issues;
    const problem = `${issue?.path.join(".")}: ${issue?.message}`;
    throw new DrError("PULUMI_FAILED", `the outputs of stack ${stack} are not those of a region (${problem})`, {
      hint: `run \`pulumi up --stack ${stack}\` with this version`,
      cause: result.error,
    });
  }

  /** Exports by the CLI: the Automation API exports secrets in the clear. */
  async exportState(stack: string): Promise<{ state: string; changedAt: Date }> {
    const state = await this.#run(stack, ["stack", "export", "--stack", this.#fullName(stack)]);
    const changedAt = timeOfState(state);
    if (changedAt !== undefined) return { state, changedAt };
    throw new DrError("PULUMI_FAILED", `the export of stack ${stack} is not whole`, { hint: "run it again" });
  }

  async up(stack: string, onEvent: (event: StackEvent) => void) {
    const selected = await this.#select(stack);
    const failures: string[] = [];
    try {
      const settings = {
        ...this.#settings(stack),
        refresh: this.#project.looksFirst ?? false,
        onEvent: (event: EngineEvent) => tell(event, onEvent, failures),
      };
      const { summary } = await this.#mended(stack, () => this.#unlocked(onEvent, () => selected.up(settings)));
      if (summary.result !== "succeeded") throw new Error(`the update ${summary.result}`);
      return { changes: { ...summary.resourceChanges } };
    } catch (error) {
      throw this.#translate(stack, "up", error, failures);
    }
  }

  async preview(stack: string) {
    const selected = await this.#select(stack);
    const failures: string[] = [];
    try {
      const onEvent = (event: EngineEvent) => tell(event, () => {}, failures);
      const preview = () => selected.preview({ ...this.#settings(stack), refresh: true, onEvent });
      const { changeSummary } = await this.#mended(stack, () => this.#unlocked(() => {}, preview));
      const { same: _unchanged, ...changes } = changeSummary;
      return { changes: { ...changes } as Record<string, number> };
    } catch (error) {
      throw this.#translate(stack, "preview", error, failures);
    }
  }

  async refresh(stack: string): Promise<void> {
    const selected = await this.#select(stack);
    try {
      await this.#mended(stack, () =>
        this.#unlocked(
          () => {},
          () => selected.refresh({ ...this.#settings(stack) }),
        ),
      );
    } catch (error) {
      throw this.#translate(stack, "refresh", error, []);
    }
  }

  async destroy(stack: string): Promise<void> {
    const selected = await this.#select(stack);
    try {
      await this.#mended(stack, () =>
        this.#unlocked(
          () => {},
          () => selected.destroy({ ...this.#settings(stack) }),
        ),
      );
    } catch (error) {
      throw this.#translate(stack, "destroy", error, []);
    }
  }

  #settings(stack: string) {
    const file = this.#project.settingsFile?.(stack);
    // Without secrets: the history that the Automation API reads afterwards is decrypted by the settings in the
    // project's folder, which are not this stack's when it has a file of its own.
    const quiet = { showSecrets: false } as const;
    return file === undefined ? quiet : { ...quiet, configFile: file };
  }

  async #select(stack: string): Promise<Stack> {
    await this.#project.ready?.();
    // Loaded when it is needed: commands that only read outputs start in half the time without it.
    const { LocalWorkspace } = await import("@pulumi/pulumi/automation/index.js");
    try {
      const options = { envVars: { ...alwaysSet, ...this.#project.env }, pulumiCommand: await findCommand() };
      const wanted = { stackName: this.#fullName(stack), workDir: this.#project.folder };
      return await this.#mended(stack, () => LocalWorkspace.selectStack(wanted, options));
    } catch (error) {
      throw this.#translate(stack, "select", error, []);
    }
  }

  #fullName(stack: string): string {
    return stack.includes("/") ? stack : `${this.#project.owner ?? ""}${stack}`;
  }

  async #run(stack: string, args: readonly string[]): Promise<string> {
    const { answerMs = 60_000, env, folder: cwd, ready } = this.#project;
    await ready?.();
    // Only what reads comes here: a backend that hangs may be what was lost.
    const run = () => runPulumi(args, { cwd, env, answerMs });
    return this.#mended(stack, run).catch((error: unknown) => {
      throw this.#translate(stack, args[1] ?? "", error, []);
    });
  }

  #unlocked<T>(onEvent: (event: StackEvent) => void, act: () => Promise<T>): Promise<T> {
    return unlocked(this.#clock, onEvent, act);
  }

  /** Acts once more when the first try met a checkpoint that an update was killed in writing. */
  async #mended<T>(stack: string, act: () => Promise<T>): Promise<T> {
    try {
      return await act();
    } catch (error) {
      if (!(error instanceof Error) || !error.message.includes("failed to load checkpoint")) throw error;
      const backend = this.#project.env["PULUMI_BACKEND_URL"] ?? process.env["PULUMI_BACKEND_URL"];
      if (!(await mendCutCheckpoint(backend, projectName, stack))) throw error;
      return act();
    }
  }

  #translate(stack: string, what: string, error: unknown, failures: readonly string[]): DrError {
    if (error instanceof DrError) return error;
    const text = error instanceof Error ? error.message : String(error);
    const known = refusalIn(stack, text);
    if (known !== undefined) return known;
    const reasons = failures.length > 0 ? failures : errorLines(text);
    return new DrError(
      "PULUMI_FAILED",
      `pulumi ${what} of stack ${stack} failed: ${reasons.join(" | ").slice(0, 600)}`,
      {
        hint: `run it again; \`pulumi ${what === "up" ? "up" : "stack"} --stack ${stack}\` shows all of it`,
      },
    );
  }
}

/** Runs the CLI for what the Automation API lacks: secrets by standard input, one output by one call. */
export async function runPulumi(
  args: readonly string[],
  {
    answerMs,
    cwd,
    env,
    input,
  }: {
    readonly cwd: string;
    readonly env: Readonly<Record<string, string>>;
    readonly input?: string;
    /** It is killed when it takes longer; left out where that could cut a change off. */
    readonly answerMs?: number;
  },
): Promise<string> {
  const child = spawn("pulumi", [...args, "--non-interactive"], {
    cwd,
    env: { ...process.env, ...alwaysSet, ...env },
    stdio: "pipe",
    ...(answerMs === undefined ? {} : { timeout: answerMs, killSignal: "SIGKILL" }),
  });
  child.stdin.end(input ?? "");
  let output = "";
  let errors = "";
  child.stdout.on("data", (piece) => (output += String(piece)));
  child.stderr.on("data", (piece) => (errors += String(piece)));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", (cause: NodeJS.ErrnoException) =>
      reject(cause.code === "ENOENT" ? pulumiMissing(cause) : cause),
    );
    child.once("close", resolve);
  });
  if (child.killed) throw new Error(`the state backend does not answer within ${(answerMs ?? 0) / 1000} s`);
  if (code !== 0) throw new Error(failureOf(output, errors) || `pulumi ended with ${code}`);
  return output;
}

/** Why the engine failed stands among what it puts out; `error: update failed` is all that it says beside. */
function failureOf(output: string, errors: string): string {
  const [, diagnostics = ""] = output.split(/^Diagnostics:\n/m);
  return `${diagnostics}\n${errors}`.trim();
}

/** Refuses outputs that are not JSON without the parser's message, which would repeat the text, secrets included. */
function parsedOutput(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** When the state was written; undefined when the text is no whole state. */
function timeOfState(text: string): Date | undefined {
  const { deployment, version } = (parsedOutput(text) ?? {}) as {
    deployment?: { manifest?: { time?: string } } | null;
    version?: unknown;
  };
  if (typeof version !== "number" || typeof deployment !== "object" || deployment === null) return undefined;
  const time = Date.parse(deployment.manifest?.time ?? "");
  return new Date(Number.isNaN(time) ? 0 : time);
}

async function findCommand(): Promise<PulumiCommand> {
  const { PulumiCommand } = await import("@pulumi/pulumi/automation/index.js");
  try {
    return await PulumiCommand.get({ skipVersionCheck: true });
  } catch (cause) {
    throw pulumiMissing(cause);
  }
}

/** Acts again when a try met nothing but locks: of an update of this machine that ends soon, or that was killed. */
async function unlocked<T>(clock: Clock, onEvent: (event: StackEvent) => void, act: () => Promise<T>): Promise<T> {
  const policy: RetryPolicy = {
    budgetMs: othersEndWithinMs,
    firstDelayMs: askAgainMs,
    factor: 1,
    isRetryable: (error) => error instanceof StackLocked,
    askedDelayMs: (error) => (error instanceof StackLocked && error.wasRemoved ? 0 : undefined),
  };
  let isTold = false;
  try {
    return await retry(clock, policy, async () => {
      try {
        return await act();
      } catch (error) {
        if (!(error instanceof Error)) throw error;
        if (areHeldHere(error.message)) {
          if (!isTold) onEvent({ kind: "message", text: "waits for another update of this machine" });
          isTold = true;
          throw new StackLocked(error, false);
        }
        // The error to report is the lock, not what kept us from removing it.
        if (!(await removeDeadLocks(error.message).catch(() => false))) throw error;
        onEvent({ kind: "message", text: "removed the lock of an update that was killed" });
        throw new StackLocked(error, true);
      }
    });
  } catch (error) {
    throw error instanceof StackLocked ? error.refusal : error;
  }
}

/** Pulumi's refusal of an update because of locks that do not stay. */
class StackLocked extends Error {
  readonly refusal: Error;
  readonly wasRemoved: boolean;

  constructor(refusal: Error, wasRemoved: boolean) {
    super("the stack is locked", { cause: refusal });
    this.refusal = refusal;
    this.wasRemoved = wasRemoved;
  }
}

function pulumiMissing(cause: unknown): DrError {
  return new DrError("PART_MISSING", "the pulumi CLI is not on PATH", {
    hint: "`qdrant-dr doctor --parts` shows what is missing and how to get it",
    cause,
  });
}

function tell(event: EngineEvent, onEvent: (event: StackEvent) => void, failures: string[]): void {
  const { diagnosticEvent, resOutputsEvent } = event;
  if (diagnosticEvent?.severity === "error") failures.push(...errorLines(diagnosticEvent.message));
  if (resOutputsEvent === undefined) return;
  const { op, urn } = resOutputsEvent.metadata;
  if (op === "same" || op === "refresh") return;
  onEvent({ kind: "resource", text: `${op} ${urn.split("::").at(-1) ?? urn}` });
}

/** Picks the error lines from Pulumi's output. */
function errorLines(text: string): string[] {
  // The Automation API puts all that a command said into its errors, stderr last.
  const said = text.slice(Math.max(0, text.indexOf("\n stderr: "))).replace(/^\n stderr: /, "");
  const lines = said.split("\n").map((line) => line.replace(/^error: /, "").trim());
  const telling = lines.filter((line) => line !== "" && !/^(update failed|resource .* failed|\s*at )/.test(line));
  return telling.slice(0, 4);
}
