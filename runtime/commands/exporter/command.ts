import { z } from "zod";
import type { RegionOptions } from "../../composition/deps.ts";
import { samplesOf } from "../../domain/monitoring/metrics.ts";
import { type CommandDefinition, exitCodesHelp, parseAnyPort, parseNumber, regionOptions } from "../shared/command.ts";
import { monitorOf } from "../shared/watch-region.ts";

interface Options extends RegionOptions {
  readonly stack?: string;
  readonly host: string;
  readonly port: number;
  readonly every: number;
}

const answer = z.strictObject({ url: z.string().describe("where metrics were served") });

export const exporter: CommandDefinition<Options, z.infer<typeof answer>> = {
  name: "exporter",
  summary: "serve a region's metrics to Prometheus, from its stores, its Qdrant and its gate; writes nothing",
  answer,
  configure: (command) =>
    regionOptions(command)
      .option("--stack <name>", "stack of the region; left out: the region of the settings file")
      .option("--host <address>", "address to listen on", "127.0.0.1")
      .option("--port <number>", "port to listen on; 0 takes any that is free", parseAnyPort, 9464)
      .option("--every <seconds>", "from one look at the region to the next", parseNumber, 30)
      .addHelpText(
        "after",
        `${exitCodesHelp([2, "wrong option or stack"], [4, "the port is taken"])}

It runs until it is interrupted, and then ends with 0. /metrics is answered from what the last looks found, and /healthz with 200. What does not answer is
qdrant_dr_source_up 0; times that were found stay, so that ages grow. No store can make it wait or fail.`,
      ),
  async run(deps, options) {
    const access = await deps.access(options.stack, options);
    const monitor = await monitorOf(deps, access, options, Math.max(1, options.every));
    const stopping = new AbortController();
    const server = await deps.serveMetrics(options, () => samplesOf(monitor.view));
    const watching = monitor.run(stopping.signal);
    const stop = async () => {
      stopping.abort();
      await server.stop();
    };
    const settled = deps.onInterrupt(stop, { isUsualEnd: true });
    deps.progress({ step: "serve", detail: `${server.url}/metrics` });
    await watching;
    settled();
    return { json: { url: server.url }, text: "Stopped" };
  },
};
