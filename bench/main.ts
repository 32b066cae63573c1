/** Entry of the benchmarks: `npm run bench -- <what> [options]`. */
import { Command, InvalidArgumentError, Option } from "commander";
import { measureExactRounds } from "./exact-rounds.ts";
import { measureFailover } from "./failover.ts";
import { measureGate, tableOfGate } from "./gate.ts";
import { isWithinBars, measureHistory } from "./history.ts";
import { areReadsWithinBars, readLargeHistory } from "./history-reads.ts";
import { measureLargePoints, tableOfLargePoints } from "./large-points.ts";
import { layOut } from "./lay-out.ts";
import { measureManyCollections, tableOfCollections } from "./many-collections.ts";
import { resultsOf, tableOf } from "./recovery-point-results.ts";
import { measureRecoveryPoints, type Phase, phases } from "./recovery-points.ts";
import { Scratch } from "./scratch.ts";
import { measureStandbyLag } from "./standby-lag.ts";

const scratch = new Scratch();
let ending: Promise<void> | undefined;
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => {
    ending ??= scratch.end().finally(() => process.exit(130));
  });
}

const say = (text: string) => process.stderr.write(`${text}\n`);
const show = (text: string) => process.stdout.write(`${text}\n`);

interface LagCommandOptions {
  readonly json?: true;
  readonly points: number;
  readonly rate: number;
  readonly seconds: number;
  readonly every: number;
  readonly withoutCost?: true;
  readonly withoutPull?: true;
}

interface Options {
  readonly json?: true;
  readonly size: number;
  readonly keepData?: true;
  readonly withoutPeers?: true;
  readonly until: Phase;
  readonly rounds?: number;
  readonly profile?: string;
}

const program = new Command("bench").description("measures the product beside other tools, on real servers");
program
  .command("recovery-points")
  .description("captures and restores of one collection in 2 shards, beside restic and the limits of the machine")
  .option("--json", "one JSON object instead of the table")
  .option("--size <MB>", "megabytes of archives, as Qdrant sends them", megabytes, 1_060)
  .option("--keep-data", "keep the filled data for the next run, or use what an earlier run kept")
  .option("--without-peers", "only ours and the limits")
  .addOption(new Option("--until <phase>", "end after this one").choices(phases).default("snapshot"))
  .option("--rounds <count>", "how often each thing is measured (2; 1 from 2 GB on)", wholeNumber)
  .option("--profile <folder>", "write a CPU profile of each of our processes into this folder")
  .action(async (options: Options) => {
    const measurements = await measureRecoveryPoints(
      scratch,
      {
        size: options.size,
        keepData: options.keepData ?? false,
        withoutPeers: options.withoutPeers ?? false,
        until: options.until,
        rounds: options.rounds ?? (options.size > 2_000 ? 1 : 2),
        ...(options.profile === undefined ? {} : { profiles: options.profile }),
      },
      say,
    );
    const results = resultsOf(measurements);
    show(options.json ? JSON.stringify(results, null, 2) : tableOf(results));
  });

program
  .command("gate")
  .description("upserts through a gate beside upserts to Qdrant directly: latency and throughput, REST and gRPC")
  .option("--json", "JSON instead of the table")
  .option("--seconds <number>", "how long each row is measured", wholeNumber, 10)
  .action(async (options: { json?: true; seconds: number }) => {
    const measured = await measureGate(scratch, { seconds: options.seconds }, say);
    show(options.json ? JSON.stringify(measured) : layOut(tableOfGate(measured)));
  });

program
  .command("many-collections")
  .description("captures of many small collections: whether time and requests grow with their number only")
  .option("--json", "JSON instead of the table")
  .option("--counts <numbers>", "separated by commas", wholeNumbers, [100, 300, 1_000])
  .option("--profile <folder>", "write a CPU profile of each of our processes into this folder")
  .action(async (options: { json?: true; counts: number[]; profile?: string }) => {
    const rows = await measureManyCollections(scratch, { counts: options.counts, profiles: options.profile }, say);
    show(options.json ? JSON.stringify({ collections: rows }, null, 2) : layOut(tableOfCollections(rows)));
  });

program
  .command("large-points")
  .description("memory of captures and restores of points that are very large: at most 256 MiB")
  .option("--json", "one JSON object as the last line")
  .action(async (options: { json?: true }) => {
    const rows = await measureLargePoints(scratch, say);
    show(options.json ? JSON.stringify({ largePoints: rows }) : layOut(tableOfLargePoints(rows)));
    if (rows.some(({ isWithinBar }) => !isWithinBar)) process.exitCode = 1;
  });

program
  .command("history")
  .description("what replication leaves in a store after a day and after 40 days, by a simulated clock")
  .option("--json", "one JSON object as the last line")
  .option("--days <count>", "how many are simulated", wholeNumber, 40)
  .action(async (options: { days: number; json?: true }) => {
    const reads = await readLargeHistory();
    const figures = await measureHistory(options.days, say);
    show(options.json ? JSON.stringify({ ...figures, ...reads }) : listOf({ ...figures, ...reads }));
    if (!isWithinBars(figures) || !areReadsWithinBars(reads)) process.exitCode = 1;
  });

program
  .command("replication")
  .description("how far a standby is behind under writes, and what that costs the writer")
  .option("--json", "JSON instead of the table")
  .option("--points <count>", "in 4 collections of 128 dimensions", wholeNumber, 200_000)
  .option("--rate <points>", "written a second, in batches of 50", wholeNumber, 1_000)
  .option("--seconds <count>", "how long", wholeNumber, 120)
  .option("--every <seconds>", "from one capture to the next", wholeNumber, 2)
  .option("--without-pull", "do not measure what goes between the regions, and Qdrant's own pull")
  .option("--without-cost", "do not measure what it costs a writer that writes as fast as it can")
  .action(async (options: LagCommandOptions) => {
    const result = await measureStandbyLag(
      scratch,
      {
        collections: 4,
        points: options.points,
        dimensions: 128,
        pointsPerSecond: options.rate,
        seconds: options.seconds,
        everyMs: options.every * 1000,
        withCost: options.withoutCost !== true,
        withPull: options.withoutPull !== true,
      },
      say,
    );
    show(options.json ? JSON.stringify(result, null, 2) : listOf(result));
  });

program
  .command("failover")
  .description(
    "a switchover, a warm and a cold failover of a practice estate as a writer sees them, and the standby's lag",
  )
  .option("--json", "JSON instead of the table")
  .option("--points <count>", "in 4 collections of 128 dimensions", wholeNumber, 200_000)
  .option("--rate <points>", "written a second, in batches of 50", wholeNumber, 1_000)
  .option("--without-lag", "only the failovers")
  .action(async (options: { json?: true; points: number; rate: number; withoutLag?: true }) => {
    const data = { collections: 4, points: options.points, dimensions: 128, pointsPerSecond: options.rate };
    const failovers = await measureFailover(scratch, data, say);
    const lag = options.withoutLag
      ? {}
      : await measureStandbyLag(
          scratch,
          { ...data, seconds: 120, everyMs: 2_000, withCost: true, withPull: true },
          say,
        );
    const result = { ...failovers, ...lag };
    show(options.json ? JSON.stringify(result, null, 2) : listOf(result));
  });

program
  .command("exact-rounds")
  .description("whether a standby that calls itself exact is, under writers, deleters, merges and index builds")
  .option("--json", "JSON instead of the table")
  .option("--rounds <count>", "cycles", wholeNumber, 100)
  .option("--seed <number>", "of the writers", wholeNumber, 1)
  .action(async (options: { json?: true; rounds: number; seed: number }) => {
    const result = await measureExactRounds(scratch, options, say);
    show(options.json ? JSON.stringify(result, null, 2) : listOf(result));
  });

try {
  await program.parseAsync();
} catch (error) {
  // Work fails because it is taken away: the interruption ends the process, not that failure.
  if (ending === undefined) {
    process.stderr.write(`error: ${(error as Error).message}\n`);
    process.exitCode = 1;
  }
} finally {
  ending ??= scratch.end();
  await ending;
}

function listOf(result: object): string {
  return layOut(Object.entries(result).map(([key, value]) => [key, JSON.stringify(value)]));
}

function megabytes(text: string): number {
  const size = Number(text);
  if (Number.isFinite(size) && size >= 10) return size;
  throw new InvalidArgumentError("a number of megabytes, 10 or more");
}

function wholeNumber(text: string): number {
  const number = Number(text);
  if (Number.isSafeInteger(number) && number > 0) return number;
  throw new InvalidArgumentError("a whole number above 0");
}

function wholeNumbers(text: string): number[] {
  const numbers = text.split(",").map(Number);
  if (numbers.every((number) => Number.isInteger(number) && number > 0)) return numbers;
  throw new InvalidArgumentError("whole numbers, separated by commas");
}
