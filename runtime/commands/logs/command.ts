import { InvalidArgumentError, Option } from "commander";
import { z } from "zod";
import type { RegionOptions } from "../../composition/deps.ts";
import { formatSeconds, formatTime } from "../../domain/format.ts";
import { isSkipped, type RunKind, type RunRecord, runKinds } from "../../domain/monitoring/runs.ts";
import { oneLine } from "../../domain/one-line.ts";
import { unreadableReporter } from "../../workflows/name-unreadable.ts";
import { readRuns } from "../../workflows/read-runs.ts";
import { type CommandDefinition, exitCodesHelp, regionOptions } from "../shared/command.ts";
import { listOf, seconds, time } from "../shared/fields.ts";

interface Options extends RegionOptions {
  readonly stack?: string;
  readonly kind?: RunKind;
  readonly last: number;
  readonly failed?: boolean;
}

const answer = z.strictObject({
  runs: listOf(
    z.strictObject({
      kind: z.enum(runKinds),
      startedAt: time.describe("when it began, ISO 8601, UTC"),
      seconds: seconds.describe("how long it took"),
      exitCode: z.number().int().describe("0, or the exit code of the command"),
      error: z.string().optional().describe("code of the error; absent when it went well"),
      message: z.string().optional().describe("what happened"),
      hint: z.string().optional().describe("what to do"),
      version: z.string().describe("version of qdrant-dr that ran it"),
    }),
  ).describe("from the newest on"),
});
type Run = z.infer<typeof answer>["runs"][number];

export const logs: CommandDefinition<Options, z.infer<typeof answer>> = {
  name: "logs",
  summary: "show the last runs of every kind: when, how long, how they ended and why",
  answer,
  configure: (command) =>
    regionOptions(command)
      .option("--stack <name>", "stack of the region; left out: the region of the settings file")
      .addOption(new Option("--kind <kind>", "only runs of this kind").choices(runKinds))
      .option("--last <number>", "how many of each kind", parseCount, 5)
      .option("--failed", "only runs that failed")
      .addHelpText(
        "after",
        exitCodesHelp([2, "wrong option or setting"], [5, "the store does not answer, or refuses access"]),
      ),
  async run(deps, options) {
    const { region, stores } = await deps.access(options.stack, options);
    const { failed = false, kind, last } = options;
    const records = await readRuns(
      stores.control,
      { kind, last, isFailed: failed },
      deps.clock,
      unreadableReporter(deps.progress),
    );
    const runs = records.map(asRun);
    const none = `No ${failed ? "failed " : ""}run${kind === undefined ? "" : ` of the kind ${kind}`} in ${region.region}`;
    return { json: { runs }, text: runs.length === 0 ? none : inTable(runs) };
  },
};

function asRun({ error, exitCode, finishedAt, hint, message, run, startedAt, toolVersion }: RunRecord): Run {
  return {
    kind: run,
    startedAt,
    seconds: (Date.parse(finishedAt) - Date.parse(startedAt)) / 1000,
    exitCode,
    ...(error === undefined ? {} : { error }),
    ...(message === undefined ? {} : { message }),
    ...(hint === undefined ? {} : { hint }),
    version: toolVersion,
  };
}

/** What is read from a store is shown as one line, whoever wrote it. */
function inTable(runs: readonly Run[]): string {
  const rows = runs.map((run) => [formatTime(run.startedAt), run.kind, formatSeconds(run.seconds), endInWords(run)]);
  const all = [["BEGAN", "KIND", "TOOK", "ENDED"], ...rows];
  const widths = [0, 1, 2].map((at) => Math.max(...all.map((row) => row[at]?.length ?? 0)));
  const lines = all.map((row) =>
    row
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join("  ")
      .trimEnd(),
  );
  return lines.flatMap((line, at) => [line, ...whyOf(runs[at - 1])]).join("\n");
}

function endInWords({ error, exitCode }: Run): string {
  if (exitCode === 0) return "well";
  if (isSkipped({ error })) return "skipped: another region's work";
  return error === undefined ? `failed (${exitCode})` : `failed: ${oneLine(error, 50)} (${exitCode})`;
}

function whyOf(run: Run | undefined): string[] {
  const { hint, message } = run ?? {};
  return [
    ...(message === undefined ? [] : [`    ${oneLine(message, 500)}`]),
    ...(hint === undefined ? [] : [`    hint: ${oneLine(hint, 500)}`]),
  ];
}

function parseCount(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= 1_000) return value;
  throw new InvalidArgumentError("It must be a whole number, 1 to 1000.");
}
