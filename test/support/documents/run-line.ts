/** A line of a document, run as a user's shell runs it. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect } from "chai";
import { exitCodes } from "../../../runtime/errors.ts";
import { checkout } from "./shown-commands.ts";

/** 128 and the number of SIGINT. */
const interrupted = 130;

export interface LineOptions {
  /** What it ends with; success when left out. */
  readonly exitCode?: number | undefined;
  /** For what runs until Ctrl-C: it is pressed when this was said on standard error. */
  readonly until?: RegExp | undefined;
  /** Beside this process's own environment. */
  readonly env?: Readonly<Record<string, string>> | undefined;
}

/** All that it said. The product is on its PATH. */
export async function runLine(line: string, options: LineOptions & { readonly cwd: string }): Promise<string> {
  const child = spawn("bash", ["-c", line], {
    cwd: options.cwd,
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...options.env, PATH: `${checkout}bin:${process.env["PATH"]}` },
  });
  let said = "";
  let isStopped = false;
  child.stdout.on("data", (piece) => (said += String(piece)));
  child.stderr.on("data", (piece) => {
    said += String(piece);
    if (isStopped || options.until?.test(said) !== true || child.pid === undefined) return;
    isStopped = true;
    process.kill(-child.pid, "SIGINT");
  });
  const [exitCode] = (await once(child, "close")) as [number | null];
  if (options.until !== undefined) expect(isStopped, `${line} never said ${options.until}:\n${said}`).to.equal(true);
  const wanted = options.exitCode ?? (options.until === undefined ? exitCodes.ok : interrupted);
  expect(exitCode, `${line}\n${said}`).to.equal(wanted);
  return said;
}
