import { z } from "zod";
import type { Deps } from "../../composition/deps.ts";
import { samplesOf } from "../../domain/monitoring/metrics.ts";
import { schedulesOf } from "../../domain/schedule/schedules-of.ts";
import { followStream } from "../../workflows/prune/follow-stream.ts";
import type { RegionSession } from "../../workflows/region-session.ts";
import { openServe } from "../../workflows/serve/open-serve.ts";
import { type CommandDefinition, exitCodesHelp, parseAnyPort, settingsOption } from "../shared/command.ts";
import { namedSettings } from "../shared/named-settings.ts";
import { monitorOf } from "../shared/watch-region.ts";

interface Options {
  readonly settings?: string;
  readonly host?: string;
  readonly port?: number;
}

const answer = z.strictObject({ url: z.string().describe("where metrics and health were served") });

/** From one look at the region for its metrics to the next. */
const watchEverySeconds = 30;

/** A region with a peer is followed into its store whenever it is the standby. */
async function keepStreamShort(deps: Deps, session: RegionSession, signal: AbortSignal): Promise<void> {
  const { clock, progress } = deps;
  const prunable = deps.pruner(session.region.repository);
  await followStream({ open: () => session.repository(), prunable, clock, progress }, signal);
}

export const serve: CommandDefinition<Options, z.infer<typeof answer>> = {
  name: "serve",
  summary: "run the schedules of a settings file, tell who is to be told when something goes wrong, and show metrics",
  answer,
  configure: (command) =>
    settingsOption(command)
      .option(
        "--host <address>",
        "address to listen on, in a container 0.0.0.0; `serve.host` of the settings when left out",
      )
      .option("--port <number>", "port to listen on; `serve.port` of the settings when left out", parseAnyPort)
      .addHelpText(
        "after",
        `${exitCodesHelp([2, "wrong option or setting"], [4, "the port of `serve` is taken"])}

It runs until it is interrupted, and then ends with 0: what runs is interrupted as Ctrl-C does it, and begun again by the next \`serve\`.
Each run is a process of its own, and its command what a person would type. Captures and prunes come one after the other, and so do
verifications, test restores and drills. Runs that were missed are made up for once; one that failed is tried again 1, 5 and 15 minutes
later when that can help. /metrics, /healthz and /readyz are served at \`serve.host\` and \`serve.port\`.`,
      ),
  async run(deps, options) {
    const file = await namedSettings(deps, options);
    const { serve } = file.settings;
    const address = { host: options.host ?? serve.host, port: options.port ?? serve.port };
    const named = { settings: file.path };
    const session = await deps.access(undefined, named);
    const { heartbeat, receivers } = await deps.alertReceivers(file);
    const monitor = await monitorOf(deps, session, named, watchEverySeconds);
    const serving = openServe({
      ...deps,
      session,
      schedules: schedulesOf(file.settings),
      receivers,
      heartbeat,
      note: deps.localNote(file.path),
      commands: deps.ownCommands(["--settings", file.path]),
    });
    const server = await deps.serveMetrics(
      address,
      () => samplesOf(monitor.view),
      () => serving.problem,
    );
    const stopping = new AbortController();
    const working = Promise.all([
      serving.run(stopping.signal),
      monitor.run(stopping.signal),
      ...(session.region.peer === undefined ? [] : [keepStreamShort(deps, session, stopping.signal)]),
    ]);
    const settled = deps.onInterrupt(
      async () => {
        stopping.abort();
        await working;
      },
      { isUsualEnd: true },
    );
    deps.progress({ step: "serve", detail: `${server.url}/metrics` });
    try {
      await working;
    } finally {
      settled();
      await server.stop();
    }
    return { json: { url: server.url }, text: "Stopped" };
  },
};
