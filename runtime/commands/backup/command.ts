import { InvalidArgumentError, Option } from "commander";
import type { RegionOptions } from "../../composition/deps.ts";
import { partialityOf } from "../../domain/recovery-points/missing.ts";
import {
  type CaptureType,
  captureTypes,
  type DataKind,
  dataKinds,
} from "../../domain/recovery-points/recovery-point.ts";
import { captureRecoveryPoint } from "../../workflows/capture/capture-recovery-point.ts";
import type { CaptureReport } from "../../workflows/capture/capture-report.ts";
import { forecastCapture } from "../../workflows/capture/forecast-capture.ts";
import { captureRequestFor } from "../../workflows/capture/region-capture.ts";
import { usualCaptureType } from "../../workflows/capture/usual-type.ts";
import { recordedRun } from "../../workflows/recorded-run.ts";
import { type CommandDefinition, exitCodesHelp, parseKinds, parseNames, regionOptions } from "../shared/command.ts";
import { type BackupAnswer, backupAnswer, reportAsJson } from "./answer.ts";
import { forecastInWords, reportInWords } from "./text.ts";

interface Options extends RegionOptions {
  readonly stack?: string;
  readonly type?: CaptureType;
  readonly only?: readonly DataKind[];
  readonly collections?: readonly string[];
  readonly exclude?: readonly string[];
  readonly worker?: { readonly index: number; readonly count: number };
  readonly session?: string;
  readonly allowEmpty?: boolean;
  readonly dryRun?: boolean;
}

export const backup: CommandDefinition<Options, BackupAnswer> = {
  name: "backup",
  summary: "capture a recovery point of the active region into its bucket",
  answer: backupAnswer,
  configure: (command) =>
    regionOptions(command)
      .option("--stack <name>", "stack of the active region; left out: the region of the settings file")
      .addOption(
        new Option(
          "--type <type>",
          "full reads everything and compares; incremental reads what changed since the last recovery point; when left out, incremental where there is one",
        ).choices(captureTypes),
      )
      .option("--only <kinds>", `only these kinds of data, separated by commas: ${dataKinds.join(", ")}`, parseKinds)
      .option(
        "--collections <names>",
        "read only these collections; the others stay as in the last recovery point",
        parseNames,
      )
      .option(
        "--exclude <patterns>",
        "leave these collections out on purpose: names, or patterns such as 'tmp-*', separated by commas",
        parseNames,
      )
      .option("--worker <i/n>", "do the i-th of n parts, from 0/n on; the last worker to end commits", parseWorker)
      .option("--session <name>", "what the workers of one capture have in common, a name of its own for every capture")
      .option("--allow-empty", "commit a recovery point of an empty Qdrant or folder, though the last one is not empty")
      .option("--dry-run", "show what would be captured, refuse what a capture refuses, and change nothing")
      .addHelpText(
        "after",
        exitCodesHelp(
          [2, "wrong option or setting"],
          [3, "nothing could be captured whole; nothing was committed"],
          [5, "a server does not answer, or refuses what it is asked"],
          [11, "the region is not the active one"],
          [15, "the recovery point is partial: something could not be read, and the rest was captured"],
        ),
      ),
  async run(deps, options) {
    const { session: name, worker } = options;
    if ((worker === undefined) !== (name === undefined)) {
      throw new InvalidArgumentError("--worker and --session belong together.");
    }
    const session = await deps.access(options.stack, options);
    const type = options.type ?? (await usualCaptureType(session, deps.clock));
    const request = async () =>
      captureRequestFor({
        ...deps,
        session,
        repository: options.dryRun ? await session.repositoryForRehearsal() : await session.repositoryForWriting(),
        stacks: () => deps.stacks(options),
        type,
        only: options.only,
        collections: options.collections,
        exclude: options.exclude,
        worker: worker === undefined || name === undefined ? undefined : { ...worker, session: name },
        allowEmpty: options.allowEmpty ?? false,
      });
    if (options.dryRun) {
      const forecast = await forecastCapture(await request());
      const shortcoming = partialityOf("the recovery point", forecast.missing);
      return { json: forecast, text: forecastInWords(forecast), shortcoming };
    }
    // Of several workers, the one that commits ends the run.
    const shortcomingOf = ({ missing, recoveryPoint }: CaptureReport) => partialityOf(recoveryPoint, missing);
    const report = await recordedRun(
      { ...deps, session, run: type },
      async () => captureRecoveryPoint(await request()),
      { isEnd: ({ isCommitted }) => isCommitted, shortcomingOf },
    );
    return { json: reportAsJson(report), text: reportInWords(report), shortcoming: shortcomingOf(report) };
  },
};

function parseWorker(text: string): { index: number; count: number } {
  const match = /^(\d+)\/(\d+)$/.exec(text);
  const [index, count] = [Number(match?.[1]), Number(match?.[2])];
  if (match !== null && count >= 1 && index < count) return { index, count };
  throw new InvalidArgumentError("It must be i/n, i from 0 to n-1: 0/3, 1/3, 2/3.");
}
