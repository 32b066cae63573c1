/** `FailoverHooks` that run an operator's commands: a program and its arguments, never a shell. */
import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { z } from "zod";
import { DrError } from "../errors.ts";
import type { FailoverHookEvent, FailoverHooks, Progress } from "../ports.ts";

const hookSchema = z.strictObject({
  when: z.enum(["before", "after"]),
  step: z.string().min(1),
  /** The program and its arguments. */
  command: z.array(z.string().min(1)).min(1),
  timeoutSeconds: z.number().positive().max(3_600).default(60),
  /** What its failure does to the failover. */
  onFailure: z.enum(["stop", "warn"]).default("warn"),
});
type Hook = z.infer<typeof hookSchema>;

/** Reads the hooks of a JSON file: a list. Throws SETTING_INVALID. */
export async function readHooks(path: string, steps: readonly string[], progress: Progress): Promise<FailoverHooks> {
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
      const problem = await runHook(hook, event);
      if (problem === undefined) continue;
      const what = `the hook ${hook.command[0]} ${event.when} ${event.step} ${problem}`;
      if (hook.onFailure === "stop") {
        throw new DrError("HOOK_FAILED", what, { hint: "run the failover again when what it asks for is done" });
      }
      progress({ step: event.step, detail: `${what}; the failover goes on` });
    }
  };
}

/** Why it failed; undefined when it did not. */
function runHook({ command: [program = "", ...args], timeoutSeconds }: Hook, event: FailoverHookEvent) {
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
