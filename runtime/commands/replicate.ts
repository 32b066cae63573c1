import type { Deps, RegionOptions } from "../compose.ts";
import { formatBytes, formatSeconds } from "../domain/format.ts";
import { follow } from "../workflows/replicate/follow.ts";
import { type CycleReport, Replication } from "../workflows/replicate/replication.ts";
import { type CommandDefinition, exitCodesHelp, parseNumber, regionOptions } from "./command.ts";

interface Options extends RegionOptions {
  readonly from: string;
  readonly to: string;
  readonly every: number;
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
    const source = await deps.access(options.from, options);
    const standby = await deps.access(options.to, options);
    const replication = new Replication({
      source: { region: source.region.region, database: source.database, control: source.stores.control },
      standby: {
        region: standby.region.region,
        database: standby.database,
        repository: await standby.repositoryForWriting(),
      },
      existing: options.replaceExisting ? "replace" : "refuse",
      toolVersion: deps.toolVersion,
      clock: deps.clock,
      progress: deps.progress,
    });
    const report = options.once ? await replication.cycle("exact") : await again(deps, replication, options.every);
    return {
      json: report ?? {},
      text: report === undefined ? "Stopped before the first cycle ended" : inWords(report),
    };
  },
};

/** Until it is interrupted, or told that this is not to be done. */
async function again(deps: Deps, replication: Replication, every: number): Promise<CycleReport | undefined> {
  const stopping = new AbortController();
  let following: Promise<unknown> | undefined;
  const settled = deps.onInterrupt(async () => {
    stopping.abort();
    await following?.catch(() => undefined);
  });
  try {
    const followed = follow({
      capture: () => replication.capture(),
      apply: (state) => replication.apply(state),
      everyMs: every * 1000,
      signal: stopping.signal,
      told: (news) =>
        deps.progress({ step: "replicate", detail: "report" in news ? inWords(news.report) : news.problem }),
    });
    following = followed;
    return await followed;
  } finally {
    settled();
  }
}

function inWords(report: CycleReport): string {
  const { difference, whole } = report.shards;
  const state = report.isExact ? "exact" : "provisional: an optimization runs, deletes since it began may be undone";
  const applied = report.isChanged
    ? `${difference + whole} shards changed${whole === 0 ? "" : ` (${whole} whole)`}, ${formatBytes(report.readBytes)} read, ${formatBytes(report.storedBytes)} stored, ${formatBytes(report.sentBytes)} applied`
    : "nothing changed";
  return `the standby holds ${report.point}, as of ${report.asOf} (${formatSeconds(report.lagSeconds)} behind), ${state}; ${applied}`;
}
