import { InvalidArgumentError, Option } from "commander";
import type { RegionOptions } from "../../composition/deps.ts";
import { partialityOf } from "../../domain/recovery-points/missing.ts";
import type { DataKind } from "../../domain/recovery-points/recovery-point.ts";
import { peerOf } from "../../domain/region.ts";
import { replicateSchema } from "../../domain/settings/tiers.ts";
import {
  applyingPart,
  folderIntervalFactor,
  partsOf,
  type ReplicationReport,
  streamedKinds,
  untilInterrupted,
} from "../../workflows/replicate/replicate-region.ts";
import {
  type Answer,
  type CommandDefinition,
  exitCodesHelp,
  parseKinds,
  parseNumber,
  regionOptions,
} from "../shared/command.ts";
import { asJson, type ReplicateAnswer, replicateAnswer } from "./answer.ts";
import { formatCycle } from "./text.ts";

interface Options extends RegionOptions {
  readonly from?: string;
  readonly to?: string;
  readonly every: number;
  readonly tier: Readonly<Record<string, number>>;
  readonly half?: "capture" | "apply";
  readonly journal?: boolean;
  readonly once?: boolean;
  readonly only?: readonly DataKind[];
  readonly allowEmpty?: boolean;
  readonly replaceExisting?: boolean;
}

export const replicate: CommandDefinition<Options, ReplicateAnswer> = {
  name: "replicate",
  summary: "keep the standby region seconds behind the active one, by way of its own bucket",
  answer: replicateAnswer,
  configure: (command) =>
    regionOptions(command)
      .option("--from <stack>", "stack of the active region; left out: the peer of the other")
      .option("--to <stack>", "stack of the standby region; left out: the region of the settings file")
      .option("--every <seconds>", "target interval between captures, in seconds", parseNumber, 2)
      .option(
        "--tier <name=seconds>",
        "another interval for the collections of this name, or of a pattern such as archive-*; can be given again",
        parseTier,
        {},
      )
      .addOption(
        new Option(
          "--half <half>",
          "only capture, near the active region, or only apply, near the standby: one process of each",
        ).choices(["capture", "apply"]),
      )
      .option(
        "--journal",
        "follow the journal that the active region's gate keeps: a capture only begins it, and brings what the journal does not tell",
      )
      .option(
        "--only <kinds>",
        `these kinds of data, separated by commas: ${streamedKinds.join(", ")}; qdrant when left out. Folders are read on this machine, which must be the active region's, ${folderIntervalFactor} times less often than --every`,
        parseKinds,
      )
      .option("--allow-empty", "with --once: a folder that is gone or empty, and was not before, is meant to be")
      .option("--once", "one cycle, and wait for optimizations so that it is exact")
      .option("--replace-existing", "replace collections of the standby that replication did not make")
      .addHelpText(
        "after",
        exitCodesHelp(
          [2, "wrong option or setting"],
          [3, "with --once: nothing could be captured whole; nothing was committed"],
          [5, "with --once: a server does not answer, or refuses what it is asked"],
          [
            11,
            "the standby has collections that replication did not make; with --once also: the source is not the active region, a failover is under way, or another run took over. Without --once these are waited for, and it goes on by itself",
          ],
          [12, "what was applied is not what was captured"],
          [15, "with --once: something could not be read; the standby holds it as it was before"],
        ),
      ),
  async run(deps, options) {
    refuseContradictions(options);
    const { half, once, only = ["qdrant"] } = options;
    const standby = await deps.access(options.to, options);
    const request = {
      ...deps,
      standby,
      everySeconds: options.every,
      tiers: options.tier,
      replaceExisting: options.replaceExisting ?? false,
      allowEmpty: options.allowEmpty ?? false,
      onReport: (news: ReplicationReport | { readonly problem: string }) =>
        deps.progress({ step: "replicate", detail: "problem" in news ? news.problem : formatCycle(news) }),
    };
    if (half === "apply") return answerOf(await untilInterrupted([await applyingPart(request)], deps.onInterrupt));
    const active = await deps.access(options.from ?? peerOf(standby.region), options);
    const parts = await partsOf(
      { ...request, active },
      { capturesOnly: half === "capture", followsJournal: options.journal, only },
    );
    if (!once) return answerOf(await untilInterrupted(parts, deps.onInterrupt));
    const reports: ReplicationReport[] = [];
    for (const part of parts) reports.push(await part.once());
    const states = reports.flatMap((each) => (each.kind === "journal" ? [] : [each.report]));
    const report = states.find(({ missing }) => missing.length > 0);
    return { ...answerOf(reports), shortcoming: report && partialityOf(report.recoveryPoint, report.missing) };
  },
};

function refuseContradictions({ allowEmpty, half, journal, once, only, tier }: Options): void {
  const hasTiers = Object.keys(tier).length > 0;
  if (hasTiers && (half === "apply" || once || !(only ?? ["qdrant"]).includes("qdrant")))
    throw new InvalidArgumentError(
      "--tier applies only to continuous capture of qdrant: remove it, or drop --once / --half apply.",
    );
  if (journal === true && (half !== undefined || hasTiers || !(only ?? ["qdrant"]).includes("qdrant")))
    throw new InvalidArgumentError(
      "--journal follows all of Qdrant in one process: leave --half, --tier and --only out.",
    );
  if (half !== undefined && once) throw new InvalidArgumentError("--once takes both halves: leave --half out.");
  if (half === "apply" && only !== undefined)
    throw new InvalidArgumentError("--half apply applies what was captured: leave --only out.");
  if (allowEmpty && !once)
    throw new InvalidArgumentError("--allow-empty belongs to --once: later on, a disk may be gone.");
}

function answerOf(reports: readonly ReplicationReport[]): Answer<ReplicateAnswer> {
  const text = reports.length === 0 ? "Stopped before the first cycle ended" : reports.map(formatCycle).join("\n");
  return { json: asJson(reports), text };
}

/** An interval of its own for some collections. */
function parseTier(text: string, others: Options["tier"]): Options["tier"] {
  const [, named, seconds] = /^(.+)=(\d+)$/.exec(text) ?? [];
  const { error, data } = replicateSchema.shape.tiers.safeParse({ ...others, [named ?? ""]: Number(seconds) });
  if (error === undefined) return data;
  throw new InvalidArgumentError("It must be name=seconds, 1 to 3600 seconds: archive-*=60.");
}
