/** The example of a failover from CI: its own commands, as a runner's shell runs them, on a practice estate. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { loadYaml } from "@kubernetes/client-node";

interface Workflow {
  readonly on: { readonly workflow_dispatch: { readonly inputs: Readonly<Record<string, object>> } };
  readonly permissions: object;
  readonly concurrency: { readonly group: string; readonly "cancel-in-progress": boolean };
  readonly defaults: object;
  readonly jobs: {
    readonly failover: { readonly env: Readonly<Record<string, string>>; readonly steps: readonly WorkflowStep[] };
  };
}

interface WorkflowStep {
  readonly name?: string;
  readonly run?: string;
  readonly if?: string;
}

const checkout = fileURLToPath(new URL("../../..", import.meta.url));
export const ciWorkflow = loadYaml<Workflow>(
  readFileSync(join(checkout, ".github", "workflows", "failover.yml"), "utf8"),
);

export interface StepOutcome {
  readonly exitCode: number | null;
  readonly said: string;
  /** The object in the last line of stdout. */
  readonly json: object;
}

/** Runs a step in the shell that `shell: bash` stands for; `killAt` kills all of it when what it said on stderr matches. */
export async function runStep(
  name: string,
  {
    cwd,
    estate,
    estates,
    killAt,
  }: { readonly cwd: string; readonly estate: string; readonly estates: string; readonly killAt?: RegExp },
): Promise<StepOutcome> {
  const command = ciWorkflow.jobs.failover.steps.find((step) => step.name === name)?.run;
  if (command === undefined) throw new Error(`there is no step ${name}`);
  const here = command.replaceAll(
    /\.\/bin\/qdrant-dr ((?:[a-z][a-z-]* )+)/g,
    `${checkout}bin/qdrant-dr $1--estate ${estate} `,
  );
  const child = spawn("bash", ["--noprofile", "--norc", "-eo", "pipefail", "-c", here], {
    cwd,
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, QDRANT_DR_ESTATES: estates, TO: "standby", ACCEPT_DATA_LOSS: "3600" },
  });
  let said = "";
  let out = "";
  child.stdout.on("data", (piece) => (out += String(piece)));
  child.stderr.on("data", (piece) => {
    said += String(piece);
    if (killAt?.test(said) && child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, "SIGKILL");
  });
  const [exitCode] = (await once(child, "close")) as [number | null];
  const last = out.trimEnd().split("\n").at(-1) ?? "";
  return { exitCode, said, json: last.startsWith("{") ? JSON.parse(last) : {} };
}
