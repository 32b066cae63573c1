/** The command line: from arguments to a command, from its answer or error to output and an exit code. */
import { Command, CommanderError } from "commander";
import { backup } from "./commands/backup.ts";
import type { CommandDefinition } from "./commands/command.ts";
import { copy } from "./commands/copy.ts";
import { doctor } from "./commands/doctor.ts";
import { exporter } from "./commands/exporter.ts";
import { failover } from "./commands/failover.ts";
import { init } from "./commands/init.ts";
import { points } from "./commands/points.ts";
import { quickstart } from "./commands/quickstart.ts";
import { replicate } from "./commands/replicate.ts";
import { restore } from "./commands/restore.ts";
import { status } from "./commands/status.ts";
import { verify } from "./commands/verify.ts";
import type { Deps } from "./compose.ts";
import { DrError, exitCodes, toDrError } from "./errors.ts";

// Each definition parses the options it declares; here they are only passed on.
const definitions = [
  quickstart,
  doctor,
  init,
  backup,
  points,
  copy,
  verify,
  restore,
  replicate,
  failover,
  status,
  exporter,
] as readonly CommandDefinition<object>[];

export interface Output {
  /** Results; with `--json` one line with one JSON object. */
  out(text: string): void;
  /** Progress, errors and hints. */
  err(text: string): void;
}

/** Every command with its options; the references in docs/ are made from it. */
export function createProgram(deps: Deps, output: Output, wantsJson = false): Command {
  const program = new Command("qdrant-dr")
    .description(
      "Disaster recovery for Qdrant: recovery points that are proven restorable, and a failover that can be trusted.",
    )
    .version(deps.toolVersion)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => output.out(text.trimEnd()),
      writeErr: (text) => output.err(text.trimEnd()),
      // `report` tells it, like every other error.
      outputError: () => {},
    });
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
  return program;
}

/** Runs the command that `args` name; answers the exit code. */
export async function runCli(args: readonly string[], deps: Deps, output: Output): Promise<number> {
  const wantsJson = args.includes("--json");
  const program = createProgram(deps, output, wantsJson);
  try {
    await program.parseAsync([...args], { from: "user" });
    return exitCodes.ok;
  } catch (error) {
    if (!(error instanceof CommanderError)) return report(toDrError(error), wantsJson, output);
    if (error.exitCode === 0) return exitCodes.ok;
    // No command was named: its help has been shown.
    if (error.code === "commander.help") return exitCodes.usage;
    return report(usageError(error, args), wantsJson, output);
  }
}

function usageError(error: CommanderError, args: readonly string[]): DrError {
  const named = definitions.find(({ name }) => name === args[0]);
  return new DrError("USAGE", error.message.replace(/^error: /, "").replace(/\s+/g, " "), {
    hint: `\`qdrant-dr ${named === undefined ? "" : `${named.name} `}--help\` shows what it takes`,
  });
}

function report(error: DrError, wantsJson: boolean, output: Output): number {
  const { code, exitCode, hint, message, retryable } = error;
  output.err(`error: ${message}${hint === undefined ? "" : `\nhint: ${hint}`}`);
  if (process.env["QDRANT_DR_DEBUG"] !== undefined && error.cause instanceof Error) output.err(error.cause.stack ?? "");
  if (wantsJson) output.out(JSON.stringify({ error: { code, exitCode, message, hint, retryable } }));
  return exitCode;
}
