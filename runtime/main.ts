/** Entry of the command line: the only place that ends the process. */
import { runCli } from "./cli.ts";
import { compose } from "./composition/compose.ts";
import { exitCodes } from "./errors.ts";
import { progressTo } from "./progress.ts";

const cleaning = new Set<() => Promise<void>>();
let isInterrupted = false;

const deps = await compose({
  progress: progressTo(process.stderr),
  onInterrupt(clean) {
    cleaning.add(clean);
    return () => cleaning.delete(clean);
  },
});

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => {
    if (isInterrupted) return;
    isInterrupted = true;
    process.stderr.write(`${signal}: cleaning up\n`);
    Promise.allSettled([...cleaning].map((clean) => clean())).finally(() => process.exit(exitCodes.interrupted));
  });
}

const exitCode = await runCli(process.argv.slice(2), deps, {
  out: (text) => process.stdout.write(`${text}\n`),
  err: (text) => process.stderr.write(`${text}\n`),
});
// An interrupted command fails because its estate is taken away: the interruption ends the process, not that failure.
if (!isInterrupted) process.exitCode = exitCode;
