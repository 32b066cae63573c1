/** Entry of the benchmarks: `npm run bench -- <what> [options]`. */
import { Command, InvalidArgumentError } from "commander";
import { resultsOf, tableOf } from "./recovery-point-results.ts";
import { measureRecoveryPoints } from "./recovery-points.ts";
import { Scratch } from "./scratch.ts";

const scratch = new Scratch();
let ending: Promise<void> | undefined;
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => {
    ending ??= scratch.end().finally(() => process.exit(130));
  });
}

const say = (text: string) => process.stderr.write(`${text}\n`);
const show = (text: string) => process.stdout.write(`${text}\n`);

const program = new Command("bench").description("measures the product beside other tools, on real servers");
program
  .command("recovery-points")
  .description("captures and restores of one collection in 2 shards, beside restic and the limits of the machine")
  .option("--json", "one JSON object instead of the table")
  .option("--size <MB>", "megabytes of archives, as Qdrant sends them", megabytes, 1_060)
  .option("--keep-data", "keep the filled data for the next run, or use what an earlier run kept")
  .option("--without-peers", "only ours and the limits")
  .option("--profile <folder>", "write a CPU profile of each of our processes into this folder")
  .action(async (options: { json?: true; size: number; keepData?: true; withoutPeers?: true; profile?: string }) => {
    const measurements = await measureRecoveryPoints(
      scratch,
      {
        size: options.size,
        keepData: options.keepData ?? false,
        withoutPeers: options.withoutPeers ?? false,
        ...(options.profile === undefined ? {} : { profiles: options.profile }),
      },
      say,
    );
    const results = resultsOf(measurements);
    show(options.json ? JSON.stringify(results, null, 2) : tableOf(results));
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

function megabytes(text: string): number {
  const size = Number(text);
  if (Number.isFinite(size) && size >= 10) return size;
  throw new InvalidArgumentError("a number of megabytes, 10 or more");
}
