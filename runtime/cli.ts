/** The command line: from arguments to a command, from its answer or error to output and an exit code. */
import { Command, CommanderError } from "commander";
import { quickstart } from "../quickstart/index.ts";
import { alertsTest } from "./commands/alerts/test.ts";
import { backup } from "./commands/backup/command.ts";
import { copy } from "./commands/copy/command.ts";
import { divergence } from "./commands/divergence/command.ts";
import { doctor } from "./commands/doctor/command.ts";
import { drill } from "./commands/drill/command.ts";
import { estateInit } from "./commands/estate/init.ts";
import { exportKubernetes } from "./commands/export/kubernetes.ts";
import { exportMonitoring } from "./commands/export/monitoring.ts";
import { exportRecoveryPointCommand } from "./commands/export/recovery-point.ts";
import { exporter } from "./commands/exporter/command.ts";
import { failoverFolders } from "./commands/failover/folders.ts";
import { failoverPlan } from "./commands/failover/plan.ts";
import { failoverRun } from "./commands/failover/run.ts";
import { gate } from "./commands/gate/command.ts";
import { heal } from "./commands/heal/command.ts";
import { importCommand } from "./commands/import/command.ts";
import { init } from "./commands/init/command.ts";
import { keysIdentity } from "./commands/keys/identity.ts";
import { keysNew } from "./commands/keys/new.ts";
import { keysRotate } from "./commands/keys/rotate.ts";
import { logs } from "./commands/logs/command.ts";
import { prune } from "./commands/prune/command.ts";
import { recoveryPointsKeep } from "./commands/recovery-points/keep.ts";
import { recoveryPointsList } from "./commands/recovery-points/list.ts";
import { recoveryPointsQuarantine, recoveryPointsRelease } from "./commands/recovery-points/quarantine.ts";
import { replicate } from "./commands/replicate/command.ts";
import { restore } from "./commands/restore/command.ts";
import { serve } from "./commands/serve/command.ts";
import type { CommandDefinition } from "./commands/shared/command.ts";
import { status } from "./commands/status/command.ts";
import { switchoverAbort } from "./commands/switchover/abort.ts";
import { switchoverPlan } from "./commands/switchover/plan.ts";
import { switchoverRun } from "./commands/switchover/run.ts";
import { verify } from "./commands/verify/command.ts";
import type { Deps } from "./composition/deps.ts";
import { exactText } from "./domain/exact-json.ts";
import { printable, printableAnswer } from "./domain/printable.ts";
import { DrError, exitCodes, toDrError } from "./errors.ts";

/** Each definition parses the options it declares; here they are only passed on. */
const definitions = [
  quickstart,
  doctor,
  init,
  status,
  recoveryPointsList,
  recoveryPointsKeep,
  recoveryPointsQuarantine,
  recoveryPointsRelease,
  backup,
  verify,
  heal,
  copy,
  prune,
  replicate,
  restore,
  exportRecoveryPointCommand,
  importCommand,
  failoverPlan,
  failoverRun,
  failoverFolders,
  switchoverPlan,
  switchoverRun,
  switchoverAbort,
  drill,
  divergence,
  exporter,
  gate,
  serve,
  logs,
  alertsTest,
  exportMonitoring,
  exportKubernetes,
  estateInit,
  keysNew,
  keysIdentity,
  keysRotate,
] as readonly CommandDefinition<object, object>[];

/** The schema of what `--json` prints, by the command's name. */
export const commandAnswers = Object.fromEntries(definitions.map(({ answer, name }) => [name, answer]));

/** Commands that only lead to others. */
const groups: Readonly<Record<string, string>> = {
  alerts: "who is told when something goes wrong",
  "recovery-points": "the recovery points in a region's bucket; they are listed where no command is named",
  export: "write something for other tools",
  failover: "the active region is lost: make the other one active",
  keys: "the keys that operators sign with, and those that open what is stored",
  estate: "what two regions of stacks have in common",
  switchover: "both regions live: change their roles with nothing lost",
};

export interface Output {
  /** Results; with `--json` one line with one JSON object. */
  out(text: string): void;
  /** Progress, errors and hints. */
  err(text: string): void;
}

/** @param act what is done with the command that the arguments name, and its options. */
export function buildProgram(
  toolVersion: string,
  act: (definition: CommandDefinition<object, object>, options: object) => Promise<void>,
): Command {
  const program = new Command("qdrant-dr")
    .description(
      "Disaster recovery for Qdrant: recovery points that are proven restorable, and a failover that can be trusted.",
    )
    .version(toolVersion);
  for (const definition of definitions) {
    const { isDefaultOfGroup: isDefault = false } = definition;
    const command = parentOf(program, definition.name).command(lastWordOf(definition.name), { isDefault });
    definition
      .configure(command.description(definition.summary))
      .option("--json", "one JSON object as the last line of the output")
      .action((...given: unknown[]) => act(definition, optionsOf(given.at(-1) as Command)));
  }
  return program;
}

/** Its arguments are options too, by their names. */
function optionsOf(command: Command): object {
  const named = command.registeredArguments.map((argument, at) => [argument.name(), command.processedArgs[at]]);
  return { ...Object.fromEntries(named), ...command.opts() };
}

/** Runs the command that `args` name; answers the exit code. */
export async function runCli(args: readonly string[], deps: Deps, raw: Output): Promise<number> {
  const output: Output = { out: (text) => raw.out(printable(text)), err: (text) => raw.err(printable(text)) };
  const wantsJson = args.includes("--json");
  let exitCode: number = exitCodes.ok;
  const program = buildProgram(deps.toolVersion, async (definition, options) => {
    const { isStyled = false, json, shortcoming, text } = await definition.run(deps, options);
    if (wantsJson) output.out(exactText(json));
    else if (isStyled) raw.out(text);
    else output.out(printableAnswer(text, json));
    if (shortcoming === undefined) return;
    exitCode = shortcoming.exitCode;
    printError(shortcoming, output);
  });
  for (const command of [program, ...program.commands, ...program.commands.flatMap(({ commands }) => commands)]) {
    command.exitOverride().configureOutput({
      writeOut: (text) => output.out(text.trimEnd()),
      writeErr: (text) => output.err(text.trimEnd()),
      // `report` tells it, like every other error.
      outputError: () => {},
    });
  }
  try {
    await program.parseAsync([...args], { from: "user" });
    return exitCode;
  } catch (error) {
    if (!(error instanceof CommanderError)) return report(toDrError(error), wantsJson, output);
    if (error.exitCode === 0) return exitCodes.ok;
    // No command was named: its help has been shown.
    if (error.code === "commander.help") return exitCodes.usage;
    return report(usageError(error, args), wantsJson, output);
  }
}

function parentOf(program: Command, name: string): Command {
  const [group, ...rest] = name.split(" ");
  if (group === undefined || rest.length === 0) return program;
  const known = program.commands.find((command) => command.name() === group);
  return known ?? program.command(group).description(groups[group] ?? "");
}

function lastWordOf(name: string): string {
  return name.slice(name.lastIndexOf(" ") + 1);
}

/** The longest name of a command, or of a group, that the arguments begin with. */
function nameIn(args: readonly string[]): string | undefined {
  const names = [...definitions.map(({ name }) => name), ...Object.keys(groups)];
  const given = names.filter((name) => name.split(" ").every((word, index) => word === args[index]));
  return given.sort((a, b) => b.length - a.length)[0];
}

function usageError(error: CommanderError, args: readonly string[]): DrError {
  const named = nameIn(args);
  const word = args.slice(1).find((each) => !each.startsWith("-"));
  // The group's default took it for an argument.
  const isOfGroup = error.code === "commander.excessArguments" && named !== undefined && named in groups;
  const message = isOfGroup ? `unknown command '${word}'` : error.message.replace(/^error: /, "").replace(/\s+/g, " ");
  return new DrError("USAGE", message, {
    hint: `\`qdrant-dr ${named === undefined ? "" : `${named} `}--help\` shows what it takes`,
  });
}

function printError({ hint, message }: DrError, output: Output): void {
  output.err(`error: ${message}${hint === undefined ? "" : `\nhint: ${hint}`}`);
}

function report(error: DrError, wantsJson: boolean, output: Output): number {
  const { code, exitCode, hint, message, retryable } = error;
  printError(error, output);
  if (process.env["QDRANT_DR_DEBUG"] !== undefined && error.cause instanceof Error) output.err(error.cause.stack ?? "");
  if (wantsJson) output.out(JSON.stringify({ error: { code, exitCode, message, hint, retryable } }));
  return exitCode;
}
