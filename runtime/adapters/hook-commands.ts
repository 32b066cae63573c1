/** `FailoverHooks` that run an operator's commands (a program and its arguments, never a shell), or time searches. */
import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { z } from "zod";
import { withTimeout } from "../async/with-timeout.ts";
import { formatSeconds } from "../domain/format.ts";
import { DrError, toDrError } from "../errors.ts";
import type { Clock } from "../ports/clock.ts";
import type { AskQueries, FailoverHookEvent, FailoverHooks } from "../ports/failover-hooks.ts";
import type { Progress } from "../ports/progress.ts";
import { waitAtMost } from "../time/wait-until.ts";

const hookSchema = z
  .strictObject({
    when: z.enum(["before", "after"]),
    step: z.string().min(1),
    /** The program and its arguments. */
    command: z.array(z.string().min(1)).min(1).optional(),
    /** Searches in every collection, as clients would: none may take longer. Asked again until that is so, or the time is up. */
    queries: z.strictObject({ slowestMs: z.number().positive() }).optional(),
    timeoutSeconds: z.number().positive().max(3_600).default(60),
    /** What its failure does to the failover. */
    onFailure: z.enum(["stop", "warn"]).default("warn"),
  })
  .refine(({ command, queries }) => (command === undefined) !== (queries === undefined), {
    message: "a hook is a command, or a limit for queries",
  });
type Hook = z.infer<typeof hookSchema>;

const askAgainMs = 500;

/** Reads the hooks of a JSON file: a list. Throws SETTING_INVALID. */
export async function readHooks(
  path: string,
  steps: readonly string[],
  progress: Progress,
  askQueries: AskQueries,
  clock: Clock,
): Promise<FailoverHooks> {
  let hooks: Hook[];
  try {
    hooks = z.array(hookSchema).parse(JSON.parse(await readFile(path, "utf8")));
  } catch (cause) {
    const reason = cause instanceof z.ZodError ? z.prettifyError(cause) : (cause as Error).message;
    throw new DrError("SETTING_INVALID", `${path} holds no hooks: ${reason}`, {
      hint: 'a list such as [{"when": "before", "step": "promote", "command": ["/usr/local/bin/notify"], "onFailure": "warn"}]',
      cause,
    });
  }
  const unknown = hooks.find(({ step }) => !steps.includes(step));
  if (unknown !== undefined) {
    throw new DrError("SETTING_INVALID", `${path}: a failover has no step ${unknown.step}`, {
      hint: `its steps are ${steps.join(", ")}`,
    });
  }
  return async (event) => {
    for (const hook of hooks) {
      if (hook.when !== event.when || hook.step !== event.step) continue;
      const { command, queries } = hook;
      const problem = await (command === undefined
        ? timeQueries(hook, askQueries, clock)
        : runCommand(command, hook, event));
      if (problem === undefined) continue;
      const name = queries === undefined ? `hook ${command?.[0]}` : "check of queries";
      const what = `the ${name} ${event.when} ${event.step} ${problem}`;
      if (hook.onFailure === "stop") {
        throw new DrError("HOOK_FAILED", what, { hint: "do what the hook asks for, then run the same command again" });
      }
      progress({ step: event.step, detail: `${what}; the failover goes on` });
    }
  };
}

/** Why it failed; undefined when searches are fast enough before the time is up. */
async function timeQueries(
  { queries, timeoutSeconds }: Hook,
  ask: AskQueries,
  clock: Clock,
): Promise<string | undefined> {
  const most = queries?.slowestMs ?? 0;
  let problem: string | undefined;
  const wait = { withinMs: 1000 * timeoutSeconds, everyMs: askAgainMs };
  const isFast = await waitAtMost(clock, wait, async (leftMs) => {
    try {
      const { collection, ms } = await withTimeout(Math.max(1, leftMs), "Qdrant", ask);
      if (ms <= most) return true;
      problem = `found one in ${collection} that took ${formatSeconds(ms / 1000)}, and ${formatSeconds(most / 1000)} are allowed`;
    } catch (error) {
      // The last look may fail for want of time alone: the one before it says more.
      if (leftMs >= askAgainMs || problem === undefined) problem = `failed: ${toDrError(error).message}`;
    }
    return false;
  });
  return isFast === true ? undefined : problem;
}

/** Why it failed; undefined when it did not. */
function runCommand(
  [program = "", ...args]: readonly string[],
  { timeoutSeconds }: Hook,
  event: FailoverHookEvent,
): Promise<string | undefined> {
  return new Promise<string | undefined>((resolve) => {
    const child = spawn(program, args, {
      stdio: ["ignore", "ignore", "pipe"],
      timeout: 1000 * timeoutSeconds,
      killSignal: "SIGKILL",
      env: {
        PATH: process.env["PATH"],
        HOME: process.env["HOME"],
        QDRANT_DR_WHEN: event.when,
        QDRANT_DR_STEP: event.step,
        QDRANT_DR_EPOCH: String(event.epoch),
        QDRANT_DR_REGION: event.region,
        QDRANT_DR_RUN: event.run,
      },
    });
    let said = "";
    child.stderr.on("data", (piece) => (said = `${said}${piece}`.slice(-200)));
    child.once("error", (error) => resolve(`could not be started (${error.message})`));
    child.once("close", (code, signal) => {
      if (code === 0) return resolve(undefined);
      const end = signal === null ? `ended with ${code}` : `was ended after ${timeoutSeconds} s`;
      resolve(`${end}: ${said.trim()}`);
    });
  });
}
