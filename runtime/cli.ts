/** The command line: from arguments to a command, from its answer or error to output and an exit code. */
import { Command, CommanderError } from "commander";
import { backup } from "./commands/backup.ts";
import type { CommandDefinition } from "./commands/command.ts";
import { copy } from "./commands/copy.ts";
import { doctor } from "./commands/doctor.ts";
import { failover } from "./commands/failover.ts";
import { points } from "./commands/points.ts";
import { quickstart } from "./commands/quickstart.ts";
import { restore } from "./commands/restore.ts";
import { status } from "./commands/status.ts";
import { verify } from "./commands/verify.ts";
import type { Deps } from "./compose.ts";
import { type DrError, exitCodes, toDrError } from "./errors.ts";

// Each definition parses the options it declares; here they are only passed on.
const definitions = [
  quickstart,
  doctor,
  backup,
  points,
  copy,
  verify,
  restore,
  failover,
  status,
] as readonly CommandDefinition<object>[];

export interface Output {
  /** Results; with `--json` one line with one JSON object. */
  out(text: string): void;
  /** Progress, errors and hints. */
  err(text: string): void;
}

/** Runs the command that `args` name; answers the exit code. */
export async function runCli(args: readonly string[], deps: Deps, output: Output): Promise<number> {
  const wantsJson = args.includes("--json");
  const program = new Command("qdrant-dr")
    .description(
      "Disaster recovery for Qdrant: recovery points that are proven restorable, and a failover that can be trusted.",
    )
    .version(deps.toolVersion)
    .exitOverride()
    .configureOutput({ writeOut: (text) => output.out(text.trimEnd()), writeErr: (text) => output.err(text.trimEnd()) })
    .showHelpAfterError("(add --help for usage)");
  for (const definition of definitions) {
    const command = program.command(definition.name).description(definition.summary);
    definition
      .configure(command)
      .option("--json", "one JSON object as the last line of the output")
      .action(async (options: object) => {
        const { json, text } = await definition.run(deps, options);
        output.out(wantsJson ? JSON.stringify(json) : text);
      });
  }
  try {
    await program.parseAsync([...args], { from: "user" });
    return exitCodes.ok;
  } catch (error) {
    // Commander has written its own message.
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
    return report(toDrError(error), wantsJson, output);
  }
}

function report(error: DrError, wantsJson: boolean, output: Output): number {
  const { code, exitCode, hint, message, retryable } = error;
  output.err(`error: ${message}${hint === undefined ? "" : `\nhint: ${hint}`}`);
  if (process.env["QDRANT_DR_DEBUG"] !== undefined && error.cause instanceof Error) output.err(error.cause.stack ?? "");
  if (wantsJson) output.out(JSON.stringify({ error: { code, exitCode, message, hint, retryable } }));
  return exitCode;
}
