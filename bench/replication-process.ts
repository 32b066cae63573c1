/**
 * A process of its own that replicates as `replicate` does, and writes a line of JSON for each cycle. Reads its order as one
 * line of JSON from standard input, and ends, with a cycle that is exact, when that closes; run by `standby-lag.ts`.
 */
import { createInterface } from "node:readline";
import { RegionAccess } from "../runtime/adapters/access.ts";
import type { Region } from "../runtime/domain/estate/region.ts";
import { follow } from "../runtime/workflows/replicate/follow.ts";
import { type CycleReport, Replication } from "../runtime/workflows/replicate/replication.ts";

export interface ReplicationOrder {
  readonly source: Region;
  readonly standby: Region;
  readonly everyMs: number;
}

export interface CycleLine extends CycleReport {
  /** Of the whole process so far. */
  readonly cpuSeconds: number;
}

const lines = createInterface({ input: process.stdin });
const { everyMs, source, standby } = await new Promise<ReplicationOrder>((resolve) =>
  lines.once("line", (line) => resolve(JSON.parse(line) as ReplicationOrder)),
);
const ending = new AbortController();
lines.once("close", () => ending.abort());
const [from, to] = [new RegionAccess(source), new RegionAccess(standby)];
const replication = new Replication({
  source: { region: source.region, database: from.database, control: from.stores.control },
  standby: { region: standby.region, database: to.database, repository: await to.repositoryForWriting() },
  existing: "refuse",
  toolVersion: "bench",
  clock: { now: () => new Date() },
  progress: () => undefined,
});
const say = (report: CycleReport) => {
  const { system, user } = process.cpuUsage();
  process.stdout.write(`${JSON.stringify({ ...report, cpuSeconds: (user + system) / 1e6 } satisfies CycleLine)}\n`);
};
await follow({
  capture: () => replication.capture(),
  apply: (state) => replication.apply(state),
  everyMs,
  signal: ending.signal,
  told(news) {
    if ("report" in news) say(news.report);
    else process.stderr.write(`${news.problem}\n`);
  },
});
for (let isDone = false; !isDone; ) {
  const report = await replication.cycle("exact");
  say(report);
  isDone = !report.isChanged && report.isExact;
}
