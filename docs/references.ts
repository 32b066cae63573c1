/** The pages of docs/reference that are made from the code: `npm run docs` writes them, and a test says when one is stale. */
import type { Command } from "commander";
import { buildProgram, commandAnswers } from "../runtime/cli.ts";
import { metrics } from "../runtime/domain/monitoring/metrics.ts";
import { bootstrapSettingsSchema } from "../runtime/domain/settings/aws-settings.ts";
import { kubernetesSecretsSchema } from "../runtime/domain/settings/kubernetes-secrets.ts";
import { regionSettingsSchema } from "../runtime/domain/settings/region-settings.ts";
import { stackSettingsSchema } from "../runtime/domain/settings/stack-settings.ts";
import { errorCodes } from "../runtime/errors.ts";
import { errorMeanings } from "./error-meanings.ts";
import { answerTable, inCell, settingsTable } from "./schema-tables.ts";
import { bootstrapSettings, secretSettings, stackSettings } from "./setting-descriptions.ts";

/** A page by its path in docs/reference. */
export function references(): ReadonlyMap<string, string> {
  return new Map([
    ["cli.md", cliPage()],
    ["json.md", jsonPage()],
    ["settings.md", settingsPage()],
    ["metrics.md", metricsPage()],
    ["errors.md", errorsPage()],
  ]);
}

const generated = "<!-- Made by `npm run docs` from the code: do not edit. -->";

function page(title: string, ...parts: readonly string[]): string {
  return `${[generated, `# ${title}`, ...parts].join("\n\n")}\n`;
}

/** Every command that runs something: subcommands in the place of their parents. */
export function leafCommands(program: Command): Command[] {
  const children = program.commands.filter((command) => command.name() !== "help");
  return children.length === 0 ? [program] : children.flatMap(leafCommands);
}

/** The program with every command and option, which does nothing with them. */
export function readProgram(): Command {
  return buildProgram("0", async () => {});
}

function cliPage(): string {
  const program = readProgram();
  const commands = leafCommands(program);
  const nameOf = (command: Command): string =>
    command.parent === null ? command.name() : `${nameOf(command.parent)} ${command.name()}`;
  return page(
    "Commands",
    "Every command takes `--json`: the last line of the output is then one [JSON object](json.md). [Exit codes](exit-codes.md) are the same for all.",
    [
      "| command | does |",
      "| --- | --- |",
      ...commands.map((command) => {
        const name = nameOf(command);
        return `| [\`${name}\`](#${name.replaceAll(" ", "-")}) | ${inCell(command.description())} |`;
      }),
    ].join("\n"),
    ...commands.map((command) => `## ${nameOf(command)}\n\n\`\`\`text\n${helpOf(command)}\n\`\`\``),
  );
}

function helpOf(command: Command): string {
  let text = "";
  command
    .configureOutput({
      writeOut: (written) => (text += written),
      getOutHelpWidth: () => 110,
      getOutHasColors: () => false,
    })
    .outputHelp();
  return text.trim();
}

function jsonPage(): string {
  return page(
    "JSON answers",
    "With `--json` the last line of a command's output is one JSON object. When the command fails it is an [error](errors.md). `[]` stands for each item of a list, `*` for each name.",
    ...Object.entries(commandAnswers).map(([name, schema]) => `## ${name}\n\n${answerTable(schema)}`),
  );
}

function settingsPage(): string {
  return page(
    "Settings",
    "Settings are checked before anything is touched, and refused with their name, what was given and what is allowed. `[]` stands for each item of a list, `*` for each name; *required* means: where its group is given, on the platform and store that know it.",
    "## The settings file of one Qdrant",
    "`qdrant-dr init` writes `qdrant-dr.yaml`. A command reads the file that `--settings` names, or else the variable `QDRANT_DR_SETTINGS`, or else `qdrant-dr.yaml` in the folder where it runs. A *secret* is never in it: `{ file: path }` names a file that holds the secret alone (relative to the settings file), `{ env: NAME }` an environment variable. Commands read only the secrets that they need.",
    settingsTable(regionSettingsSchema),
    "## A region's stack",
    "A stack's settings are in `Pulumi.<stack>.yaml`; the stack's name is the region's name.",
    settingsTable(stackSettingsSchema, stackSettings),
    "## Secrets of a region's stack",
    "One secret setting, `secrets`, a JSON object: `pulumi config set --secret secrets --stack prod < secrets.json`.",
    settingsTable(kubernetesSecretsSchema, secretSettings),
    "## The foundation on AWS",
    "Settings of the stack in `bootstrap/`, with the prefix `qdrant-dr-bootstrap:`.",
    settingsTable(bootstrapSettingsSchema, bootstrapSettings),
  );
}

function metricsPage(): string {
  return page(
    "Metrics",
    "What `exporter` serves. Times are Unix seconds of the thing itself: an age is `time()` minus the metric, and grows also while nobody looks. [Decision 15](../adr/0015-metrics.md) says why.",
    [
      "| metric | labels | meaning |",
      "| --- | --- | --- |",
      ...Object.entries(metrics).map(
        ([name, { help, labels }]) =>
          `| \`${name}\` | ${labels.map((label) => `\`${label}\``).join(", ")} | ${inCell(help)} |`,
      ),
    ].join("\n"),
  );
}

function errorsPage(): string {
  return page(
    "Error codes",
    'With `--json` a command that fails ends with `{"error": {"code", "exitCode", "message", "hint", "retryable"}}`. The hint says what to do now. Retryable: the same command may succeed later without a change. [Exit codes](exit-codes.md).',
    [
      "| code | exit code | retryable | meaning |",
      "| --- | --- | --- | --- |",
      ...entriesOf(errorCodes).map(
        ([code, { exitCode, retryable }]) =>
          `| \`${code}\` | ${exitCode} | ${retryable ? "yes" : "no"} | ${inCell(errorMeanings[code])} |`,
      ),
    ].join("\n"),
  );
}

function entriesOf<Key extends string, Value>(record: Readonly<Record<Key, Value>>): [Key, Value][] {
  const entries: [Key, Value][] = [];
  for (const key in record) entries.push([key, record[key]]);
  return entries;
}
