/**
 * A process of its own that replicates as `replicate` does, or a half of it, and writes a line of JSON for each state. Reads
 * its order as one line of JSON from standard input; after `pause` it captures nothing until `resume`. Ends when the input closes:
 * whole, with a state that is exact. Run by `standby-lag.ts`.
 */

import { EventEmitter, once } from "node:events";
import { createInterface } from "node:readline";
import { RegionAccess } from "../runtime/composition/region-access.ts";
import type { Region } from "../runtime/domain/region.ts";
import { systemClock } from "../runtime/time/system-clock.ts";
import { type FollowRequest, follow } from "../runtime/workflows/replicate/follow.ts";
import { StatePublisher, StateSubscriber } from "../runtime/workflows/replicate/publish-states.ts";
import { cacheBytes, Replication } from "../runtime/workflows/replicate/replication.ts";
import {
  type CapturedState,
  SourceCapturer,
  type StateReport,
  sourceRestsFor,
} from "../runtime/workflows/replicate/source-capturer.ts";
import { type CycleReport, StandbyApplier } from "../runtime/workflows/replicate/standby-applier.ts";

export interface ReplicationOrder {
  readonly source: Region;
  readonly standby: Region;
  readonly everyMs: number;
  readonly half?: "capture" | "apply";
}

export interface CycleLine extends CycleReport {
  /** Of the whole process so far. */
  readonly cpuSeconds: number;
}

const lines = createInterface({ input: process.stdin });
const { everyMs, half, source, standby } = await new Promise<ReplicationOrder>((resolve) =>
  lines.once("line", (line) => resolve(JSON.parse(line) as ReplicationOrder)),
);
const pauses = new EventEmitter();
let isPaused = false;
lines.on("line", (line) => {
  isPaused = line === "pause";
  if (!isPaused) pauses.emit("over");
});
const ending = new AbortController();
lines.once("close", () => {
  ending.abort();
  isPaused = false;
  pauses.emit("over");
});

const [from, to] = [new RegionAccess(source), new RegionAccess(standby)];
const shared = {
  existing: "refuse",
  toolVersion: "bench",
  clock: systemClock,
  progress: () => undefined,
} as const;
const active = { region: source.region, database: from.database, control: from.stores.control };
const stored = await to.repositoryForWriting();
const pace = { everyMs, restsFor: sourceRestsFor };
if (half === "capture") {
  const repository = stored.remembering(cacheBytes);
  const capturing = new SourceCapturer({ ...shared, source: active, repository });
  const telling = new StatePublisher(repository, shared.clock);
  await run({ ...pace, capture: () => capturing.capture("provisional"), apply: (state) => telling.publish(state) });
} else if (half === "apply") {
  const repository = stored.remembering(cacheBytes);
  const hearing = new StateSubscriber(repository, standby.region, systemClock);
  const applying = new StandbyApplier({ ...shared, repository, region: standby.region, database: to.database });
  const apply = (state: CapturedState) => applying.apply(state);
  await run({ everyMs: 0, restsFor: 0, capture: (signal) => hearing.next(signal), apply });
} else {
  const replication = new Replication({
    ...shared,
    source: active,
    standby: { region: standby.region, database: to.database, repository: stored },
  });
  const capture = async () => {
    while (isPaused) await once(pauses, "over");
    return replication.capture();
  };
  await run({ ...pace, capture, apply: (state) => replication.apply(state) });
  for (let isDone = false; !isDone; ) {
    const report = await replication.cycle("exact");
    say(report);
    isDone = !report.isChanged && report.isExact;
  }
}

function run<Report extends StateReport>(
  halves: Omit<FollowRequest<CapturedState, Report>, "clock" | "onReport" | "signal">,
): Promise<unknown> {
  return follow({
    ...halves,
    signal: ending.signal,
    clock: systemClock,
    onReport(news) {
      if ("report" in news) say(news.report);
      else process.stderr.write(`${news.problem}\n`);
    },
  });
}

function say(report: StateReport): void {
  const { system, user } = process.cpuUsage();
  process.stdout.write(`${JSON.stringify({ ...report, cpuSeconds: (user + system) / 1e6 })}\n`);
}
