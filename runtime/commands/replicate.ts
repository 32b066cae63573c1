import { setTimeout as sleep } from "node:timers/promises";
import type { Deps, RegionOptions } from "../compose.ts";
import { formatBytes, formatSeconds } from "../domain/format.ts";
import { hasCode, toDrError } from "../errors.ts";
import { type CycleReport, Replication } from "../workflows/replicate/replication.ts";
import { type CommandDefinition, exitCodesHelp, parseNumber, regionOptions } from "./command.ts";

interface Options extends RegionOptions {
  readonly from: string;
  readonly to: string;
  readonly every: number;
  readonly once?: boolean;
  readonly replaceExisting?: boolean;
}

const longestPauseSeconds = 60;

export const replicate: CommandDefinition<Options> = {
  name: "replicate",
  summary: "keep the standby region's Qdrant seconds behind the active one, by way of its own bucket",
  configure: (command) =>
    regionOptions(command)
      .requiredOption("--from <stack>", "stack of the active region")
      .requiredOption("--to <stack>", "stack of the standby region")
      .option("--every <seconds>", "pause between two cycles", parseNumber, 2)
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

/** Until it is interrupted, or told that this is not to be done. What fails otherwise is tried again, ever more slowly. */
async function again(deps: Deps, replication: Replication, every: number): Promise<CycleReport | undefined> {
  const stopping = new AbortController();
  let cycle: Promise<CycleReport> | undefined;
  let last: CycleReport | undefined;
  const settled = deps.onInterrupt(async () => {
    stopping.abort();
    await cycle?.catch(() => undefined);
  });
  try {
    for (let failures = 0; !stopping.signal.aborted; ) {
      try {
        cycle = replication.cycle();
        last = await cycle;
        failures = 0;
        deps.progress({ step: "replicate", detail: inWords(last) });
      } catch (error) {
        if (isFinal(error)) throw error;
        failures += 1;
        const { code, message } = toDrError(error);
        deps.progress({ step: "replicate", detail: `${code}: ${message}; it is tried again` });
      }
      const seconds = failures === 0 ? every : Math.min(longestPauseSeconds, Math.max(1, every) * 2 ** failures);
      await sleep(seconds * 1000, undefined, { signal: stopping.signal }).catch(() => undefined);
    }
  } finally {
    settled();
  }
  return last;
}

/** What no waiting changes. */
function isFinal(error: unknown): boolean {
  return hasCode(
    toDrError(error),
    "INTERNAL",
    "USAGE",
    "SETTING_INVALID",
    "NOT_SUPPORTED",
    "VERSION_UNSUPPORTED",
    "KEY_UNAVAILABLE",
    "EPOCH_CONFLICT",
    "ROLE_REFUSES",
    "TARGET_NOT_EMPTY",
  );
}

function inWords(report: CycleReport): string {
  const { difference, whole } = report.shards;
  const state = report.isExact ? "exact" : "provisional: an optimization runs, deletes since it began may be undone";
  const applied = report.isChanged
    ? `${difference + whole} shards changed${whole === 0 ? "" : ` (${whole} whole)`}, ${formatBytes(report.readBytes)} read, ${formatBytes(report.storedBytes)} stored, ${formatBytes(report.sentBytes)} applied`
    : "nothing changed";
  return `the standby holds ${report.point}, as of ${report.asOf} (${formatSeconds(report.lagSeconds)} behind), ${state}; ${applied}`;
}
