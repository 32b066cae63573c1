/** Entry of the command line: the only place that ends the process. */
import { openKeptEstate } from "../quickstart/index.ts";
import { isCheckout } from "./adapters/parts.ts";
import { useProxies } from "./adapters/proxies.ts";
import { runCli } from "./cli.ts";
import { compose } from "./composition/compose.ts";
import { exitCodes, toDrError } from "./errors.ts";
import { progressTo } from "./progress.ts";

try {
  useProxies();
} catch (error) {
  const { exitCode, hint, message } = toDrError(error);
  process.stderr.write(`error: ${message}\nhint: ${hint}\n`);
  process.exit(exitCode);
}

const cleaning = new Map<() => Promise<void>, { readonly isUsualEnd: boolean }>();
let isInterrupted = false;
let isUsualEnd = false;

const deps = await compose({
  progress: progressTo(process.stderr),
  // The practice, and so its estates, need the source.
  ...(isCheckout ? { openEstate: openKeptEstate } : {}),
  onInterrupt(clean, how = { isUsualEnd: false }) {
    cleaning.set(clean, how);
    return () => cleaning.delete(clean);
  },
});

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => interrupt(signal));
// `serve`, which started this command, is gone: nobody else would stop it, and the next `serve` may begin the same.
const isLeftAlone = () => interrupt("the process that started this one is gone");
process.once("disconnect", isLeftAlone);
// It was gone before anybody listened; and to listen keeps no process alive that has ended its work.
if (process.connected === false) isLeftAlone();
process.channel?.unref();

const exitCode = await runCli(process.argv.slice(2), deps, {
  out: (text) => process.stdout.write(`${text}\n`),
  err: (text) => process.stderr.write(`${text}\n`),
});
// An interrupted command fails because its estate is taken away: the interruption ends the process, not that failure.
if (!isInterrupted || isUsualEnd) process.exitCode = exitCode;

function interrupt(why: string): void {
  if (isInterrupted) return;
  isInterrupted = true;
  process.stderr.write(`${why}: cleaning up\n`);
  isUsualEnd = cleaning.size > 0 && [...cleaning.values()].every((how) => how.isUsualEnd);
  Promise.allSettled([...cleaning.keys()].map((clean) => clean())).finally(() => {
    if (!isUsualEnd) process.exit(exitCodes.interrupted);
  });
}
