import { InvalidArgumentError, Option } from "commander";
import type { Deps, RegionOptions } from "../compose.ts";
import { formatBytes, formatSeconds } from "../domain/format.ts";
import { Applying, type CycleReport } from "../workflows/replicate/applying.ts";
import { type CapturedState, type CaptureReport, Capturing, sourceRestsFor } from "../workflows/replicate/capturing.ts";
import { type FollowRequest, follow } from "../workflows/replicate/follow.ts";
import { Hearing, Telling } from "../workflows/replicate/halves.ts";
import { Replication, rememberedBytes } from "../workflows/replicate/replication.ts";
import { type CommandDefinition, exitCodesHelp, parseNumber, regionOptions } from "./command.ts";

interface Options extends RegionOptions {
  readonly from: string;
  readonly to: string;
  readonly every: number;
  readonly half?: "capture" | "apply";
  readonly once?: boolean;
  readonly replaceExisting?: boolean;
}

export const replicate: CommandDefinition<Options> = {
  name: "replicate",
  summary: "keep the standby region's Qdrant seconds behind the active one, by way of its own bucket",
  configure: (command) =>
    regionOptions(command)
      .requiredOption("--from <stack>", "stack of the active region")
      .requiredOption("--to <stack>", "stack of the standby region")
      .option("--every <seconds>", "begin to capture so often, as long as both ends keep up", parseNumber, 2)
      .addOption(
        new Option(
          "--half <half>",
          "only capture, near the active region, or only apply, near the standby: one process of each",
        ).choices(["capture", "apply"]),
      )
      .option("--once", "one cycle, and wait for optimizations so that it is exact")
      .option("--replace-existing", "replace collections of the standby that replication did not make")
      .addHelpText(
        "after",
        exitCodesHelp(
          [2, "wrong option or setting"],
          [5, "with --once: a server does not answer, or refuses access"],
          [11, "the source is not the active region, another run took over, or the standby has collections of its own"],
          [12, "what was applied is not what was captured"],
        ),
      ),
  async run(deps, options) {
    const { every, half, once, replaceExisting } = options;
    if (half !== undefined && once) throw new InvalidArgumentError("--once takes both halves: leave --half out.");
    const standby = await deps.access(options.to, options);
    const { clock, progress, toolVersion } = deps;
    const existing = replaceExisting ? "replace" : "refuse";
    const shared = { existing, toolVersion, clock, progress } as const;
    const stored = await standby.repositoryForWriting();
    const { database } = standby;
    if (half === "apply") {
      const repository = stored.remembering(rememberedBytes);
      const [hearing, applying] = [
        new Hearing(repository, standby.region.region),
        new Applying({ ...shared, repository, database }),
      ];
      // It waits for what is told instead of resting.
      const pace = { everyMs: 0, restsFor: 0 };
      const halves = {
        capture: (signal: AbortSignal) => hearing.next(signal),
        apply: (state: CapturedState) => applying.apply(state),
      };
      return answer(await again(deps, { ...pace, ...halves }, inWords), inWords);
    }
    const access = await deps.access(options.from, options);
    const source = { region: access.region.region, database: access.database, control: access.stores.control };
    const pace = { everyMs: every * 1000, restsFor: sourceRestsFor };
    if (half === "capture") {
      const repository = stored.remembering(rememberedBytes);
      const [capturing, telling] = [new Capturing({ ...shared, source, repository }), new Telling(repository, clock)];
      const halves = {
        capture: () => capturing.capture("provisional"),
        apply: (state: CapturedState) => telling.tell(state),
      };
      return answer(await again(deps, { ...pace, ...halves }, toldInWords), toldInWords);
    }
    const replication = new Replication({
      ...shared,
      source,
      standby: { region: standby.region.region, database, repository: stored },
    });
    if (once) return answer(await replication.cycle("exact"), inWords);
    const halves = {
      capture: () => replication.capture(),
      apply: (state: CapturedState) => replication.apply(state),
    };
    return answer(await again(deps, { ...pace, ...halves }, inWords), inWords);
  },
};

function answer<Report extends object>(report: Report | undefined, words: (report: Report) => string) {
  return { json: report ?? {}, text: report === undefined ? "Stopped before the first cycle ended" : words(report) };
}

/** Until it is interrupted, or told that this is not to be done. */
async function again<Report>(
  deps: Deps,
  halves: Omit<FollowRequest<CapturedState, Report>, "signal" | "told">,
  words: (report: Report) => string,
): Promise<Report | undefined> {
  const stopping = new AbortController();
  let following: Promise<unknown> | undefined;
  const settled = deps.onInterrupt(async () => {
    stopping.abort();
    await following?.catch(() => undefined);
  });
  try {
    const followed = follow({
      ...halves,
      signal: stopping.signal,
      told: (news) =>
        deps.progress({ step: "replicate", detail: "report" in news ? words(news.report) : news.problem }),
    });
    following = followed;
    return await followed;
  } finally {
    settled();
  }
}

function inWords(report: CycleReport): string {
  const { difference, whole } = report.shards;
  const applied = report.isChanged
    ? `${difference + whole} shards changed${whole === 0 ? "" : ` (${whole} whole)`}, ${formatBytes(report.readBytes)} read, ${formatBytes(report.storedBytes)} stored, ${formatBytes(report.sentBytes)} applied`
    : "nothing changed";
  return `the standby holds ${report.point}, as of ${report.asOf} (${formatSeconds(report.lagSeconds)} behind), ${stateInWords(report)}; ${applied}`;
}

function toldInWords(report: CaptureReport): string {
  const captured = report.isChanged
    ? `${formatBytes(report.readBytes)} read, ${formatBytes(report.storedBytes)} stored in ${formatSeconds(report.captureSeconds)}`
    : "nothing changed";
  return `${report.point} is in the standby's bucket, as of ${report.asOf}, ${stateInWords(report)}; ${captured}`;
}

function stateInWords({ isExact }: { readonly isExact: boolean }): string {
  return isExact ? "exact" : "provisional: an optimization runs, deletes since it began may be undone";
}
