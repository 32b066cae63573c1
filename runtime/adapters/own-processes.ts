/** Starts commands of this program, each as a process that ends with this one. */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { z } from "zod";
import { oneLine } from "../domain/one-line.ts";
import { exitCodes } from "../errors.ts";
import type { CommandEnd, CommandError, OwnCommands, StartedCommand } from "../ports/own-commands.ts";

const longestLine = 1_000;
/** Of the last line of the output: an error is short, and a command may say anything. */
const mostKept = 1_000_000;

const progressSchema = z.object({ event: z.literal("progress"), step: z.string(), detail: z.string().optional() });
const failureSchema = z.object({
  error: z.object({
    code: z.string(),
    exitCode: z.number().int(),
    message: z.string(),
    hint: z.string().optional(),
    retryable: z.boolean(),
  }),
});

export class OwnProcesses implements OwnCommands {
  readonly #program: readonly string[];
  readonly #lastArgs: readonly string[];

  /**
   * @param program what starts this program: a Node, its options, the program's file.
   * @param lastArgs arguments that every command gets.
   */
  constructor(program: readonly string[], lastArgs: readonly string[]) {
    this.#program = program;
    this.#lastArgs = lastArgs;
  }

  start(args: readonly string[], tell: (line: string) => void): StartedCommand {
    const [file = process.execPath, ...first] = this.#program;
    // It is told by the channel when this process is gone, and then stops as Ctrl-C stops it.
    const child = spawn(file, [...first, ...args, ...this.#lastArgs, "--json"], {
      stdio: ["ignore", "pipe", "pipe", "ipc"],
    });
    let isInterrupted = false;
    let output = "";
    child.stdout?.on("data", (piece) => (output = `${output}${piece}`.slice(-mostKept)));
    const shortcoming = { message: "it did not do everything", hint: undefined as string | undefined };
    if (child.stderr !== null) {
      createInterface({ input: child.stderr }).on("line", (line) => {
        if (line.startsWith("error: ")) shortcoming.message = line.slice("error: ".length);
        if (line.startsWith("hint: ")) shortcoming.hint = line.slice("hint: ".length);
        tell(oneLine(inWords(line), longestLine));
      });
    }
    const ended = new Promise<CommandEnd>((resolve) => {
      child.once("error", (error) => resolve(lost(`it could not be started: ${error.message}`)));
      child.once("close", (exitCode, signal) => {
        if (exitCode === exitCodes.ok) resolve({ kind: "done" });
        else if (isInterrupted && (exitCode === exitCodes.interrupted || exitCode === null)) {
          resolve({ kind: "interrupted" });
        } else if (exitCode === exitCodes.partial) {
          // It has answered, and says on stderr what its answer lacks. To do all of it again at once would lack the same.
          const error = { code: "RECOVERY_POINT_PARTIAL", exitCode, ...shortcoming, retryable: false };
          resolve({ kind: "failed", error });
        } else resolve(endOf(exitCode, signal, output));
      });
    });
    return {
      ended,
      interrupt: () => {
        isInterrupted = true;
        child.kill("SIGTERM");
      },
    };
  }
}

function endOf(exitCode: number | null, signal: NodeJS.Signals | null, output: string): CommandEnd {
  const error = errorIn(output);
  if (error !== undefined) return { kind: "failed", error };
  return lost(signal === null ? `it ended with ${exitCode} and said no more` : `it was ended by ${signal}`);
}

function errorIn(output: string): CommandError | undefined {
  try {
    return failureSchema.parse(JSON.parse(output.trimEnd().split("\n").at(-1) ?? "")).error;
  } catch {
    return undefined;
  }
}

function lost(message: string): CommandEnd {
  const hint = "see the log of the machine for that time: was it out of memory?";
  const error = { code: "PROCESS_FAILED", exitCode: exitCodes.setup, message, hint, retryable: true };
  return { kind: "lost", error };
}

/** Progress as a person reads it; every other line as it is. */
function inWords(line: string): string {
  if (!line.startsWith("{")) return line;
  try {
    const { detail, step } = progressSchema.parse(JSON.parse(line));
    return detail === undefined ? step : `${step}: ${detail}`;
  } catch {
    return line;
  }
}
