/**
 * How far a standby is behind under writes, and what replication costs the writer: two Qdrants, the standby's store, and
 * replication and the writer in processes of their own. Where two cores are to be had, primary and writer share one, and
 * all else the other.
 */
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import { controlLayout } from "../runtime/domain/recovery-points/store-layout.ts";
import { type Region, regionSchema } from "../runtime/domain/region.ts";
import { systemClock } from "../runtime/time/system-clock.ts";
import { NODE_FLAGS } from "../setup/node-flags.mjs";
import { signing, storeOf, trust } from "../test/support/estates/test-trust.ts";
import { QdrantServer } from "../test/support/servers/qdrant-server.ts";
import { SeaweedServer } from "../test/support/servers/seaweedfs-server.ts";
import { countingLink } from "./counting-link.ts";
import { cpuSeconds } from "./cpu-seconds.ts";
import { secondsUntilExact } from "./exact-again.ts";
import { call, untilStatus } from "./qdrant-call.ts";
import { PullLoop } from "./qdrant-pull.ts";
import type { CycleLine } from "./replication-process.ts";
import { ReplicationRun, type SeenLine } from "./replication-run.ts";
import { bytesIn, type S3Address } from "./s3-bucket.ts";
import type { Scratch } from "./scratch.ts";
import type { WritingOrder, WritingResult } from "./writing-process.ts";

export interface LagOptions {
  readonly collections: number;
  readonly points: number;
  readonly dimensions: number;
  readonly pointsPerSecond: number;
  readonly seconds: number;
  readonly everyMs: number;
  /** Measure what replication costs a writer that writes as fast as it can. */
  readonly withCost: boolean;
  /** Measure what goes between the regions, and beside it what Qdrant's own pull sends. */
  readonly withPull: boolean;
}

export interface LagMeasurements {
  readonly lagP50Seconds: number;
  readonly lagP99Seconds: number;
  /** The same of states that are known to be exact. */
  readonly exactLagP50Seconds: number;
  readonly exactLagP99Seconds: number;
  readonly cycles: number;
  readonly provisionalCycles: number;
  readonly wholeShards: number;
  readonly writtenPerSecond: number;
  /** What Qdrant sent for it, as a pull of the same states would send, and what went into the standby's bucket. */
  readonly readBytes: number;
  readonly storedBytes: number;
  readonly bucketBytes: number;
  readonly sentBytes: number;
  /** From the beginning of a capture to its end, and of bringing it to the standby. */
  readonly captureP50Seconds: number;
  readonly applyP50Seconds: number;
  /** Seconds of a core that each process used, of one second of writing. */
  readonly cpu: Readonly<Record<"primary" | "standby" | "store" | "replication", number>>;
  /** From the end of an optimization until a state is there that is known to be exact. */
  readonly exactAgainSeconds: number;
  /** Points that are not equal in the end, of all. */
  readonly wrong: number;
  readonly compared: number;
  /** Of replication in two processes and of Qdrant's pull: bytes over the wire between the regions, and the lag. */
  readonly between?: Readonly<Record<"ours" | "pull", BetweenRegions>> & { readonly bytesVsPull: number };
  /** Points a second with replication, by those without, of a writer that writes as fast as it can. */
  readonly writeCostRatio?: number;
  readonly rawCost?: { readonly without: readonly number[]; readonly with: readonly number[] };
}

interface BetweenRegions {
  readonly bytesPerSecond: number;
  readonly lagP50Seconds: number;
  readonly lagP99Seconds: number;
  readonly rounds: number;
}

/** So often the lag is looked at, whatever the cycles do. */
const lookEveryMs = 100;
/** Merges of what is written slow the writer down for a while: turns in this order see as much of that with as without. */
const costTurns = [false, true, true, false, false, true, true, false] as const;
const turnSeconds = 12;
/** Until what was under way when the turn began has ended. */
const turnBeginsAfterSeconds = 4;
const betweenSeconds = 45;

export async function measureStandbyLag(
  scratch: Scratch,
  options: LagOptions,
  say: (text: string) => void,
): Promise<LagMeasurements> {
  const names = Array.from({ length: options.collections }, (_, n) => `documents-${n + 1}`);
  onCore(0);
  const primary = await QdrantServer.start();
  scratch.defer(() => primary.stop());
  onCore(1);
  const standby = await QdrantServer.start();
  scratch.defer(() => standby.stop());
  const store = await SeaweedServer.start();
  scratch.defer(() => store.stop());
  const regions = await pairOfRegions(primary, standby, store);

  say(`filling ${options.points} points into ${names.length} collections`);
  const perCollection = Math.ceil(options.points / names.length);
  for (const name of names) await fill(primary, name, perCollection, options.dimensions);

  let firstId = perCollection + 1;
  const writing = async (seconds: number, pointsPerSecond?: number): Promise<WritingResult> => {
    const order: WritingOrder = {
      url: primary.url,
      apiKey: primary.apiKey,
      collections: names,
      dimensions: options.dimensions,
      firstId,
      seconds,
      ...(pointsPerSecond === undefined ? {} : { pointsPerSecond }),
    };
    onCore(0);
    const program = fileURLToPath(new URL("writing-process.ts", import.meta.url));
    const running = scratch.run(process.execPath, [...NODE_FLAGS, program], { input: JSON.stringify(order) });
    onCore(1);
    const result = JSON.parse((await running).output) as WritingResult;
    firstId += Math.ceil(result.points / names.length) + 1_000;
    return result;
  };

  say("bringing the standby up to date");
  const replication = new ReplicationRun({ ...regions, everyMs: options.everyMs }, scratch);
  await replication.next();
  say(`writing ${options.pointsPerSecond} points a second for ${options.seconds} s`);
  const processes = { primary: primary.pid, standby: standby.pid, store: store.pid, replication: replication.pid };
  const cpu = cpuMeter(processes);
  const from = Date.now();
  const bucketBefore = await bytesIn(regions.standby.repository as S3Address);
  const written = await writing(options.seconds, options.pointsPerSecond);
  const until = Date.now();
  const used = cpu((until - from) / 1000);
  await replication.next();
  const lines = replication.lines.filter(({ seenAt }) => seenAt >= from);
  const lags = lagsBetween(replication.lines, from, until, () => true);
  const exactLags = lagsBetween(replication.lines, from, until, ({ isExact }) => isExact);
  const bucketBytes = (await bytesIn(regions.standby.repository as S3Address)) - bucketBefore;
  say("an index is built; when the standby is exact again");
  const exactAgainSeconds = await secondsUntilExact(primary, replication.lines);
  await replication.end();
  say("comparing every point");
  let wrong = 0;
  let compared = 0;
  for (const name of names) {
    const [source, copy] = [await contentOf(primary, name), await contentOf(standby, name)];
    compared += source.size;
    for (const [id, content] of source) if (copy.get(id) !== content) wrong += 1;
    for (const id of copy.keys()) if (!source.has(id)) wrong += 1;
  }
  const cost = options.withCost ? await measureCost() : undefined;
  const between = options.withPull ? await measureBetween() : undefined;
  const sum = (of: (line: CycleLine) => number) => lines.reduce((total, line) => total + of(line), 0);
  return {
    lagP50Seconds: quantile(lags, 0.5),
    lagP99Seconds: quantile(lags, 0.99),
    exactLagP50Seconds: quantile(exactLags, 0.5),
    exactLagP99Seconds: quantile(exactLags, 0.99),
    cycles: lines.length,
    provisionalCycles: lines.filter(({ isExact }) => !isExact).length,
    wholeShards: sum(({ shards }) => shards.whole),
    writtenPerSecond: written.points / written.seconds,
    readBytes: sum(({ readBytes }) => readBytes),
    storedBytes: sum(({ storedBytes }) => storedBytes),
    bucketBytes,
    sentBytes: sum(({ sentBytes }) => sentBytes),
    captureP50Seconds: median(lines.map(({ captureSeconds }) => captureSeconds)),
    applyP50Seconds: median(lines.map(({ applySeconds }) => applySeconds)),
    cpu: used,
    exactAgainSeconds,
    wrong,
    compared,
    ...(between === undefined ? {} : { between }),
    ...(cost === undefined ? {} : { writeCostRatio: mean(cost.with) / mean(cost.without), rawCost: cost }),
  };

  async function measureBetween() {
    say("the same in two processes, one in each region, and what goes between them");
    const link = await countingLink(store.endpoint, scratch);
    const { source } = regions;
    const linked = { ...(regions.standby.repository as S3Address), endpoint: link.url };
    const far = { ...regions.standby, repository: linked, control: { ...linked, bucket: "west-control" } };
    const halves = { source, everyMs: options.everyMs };
    const capturing = new ReplicationRun({ ...halves, standby: far, half: "capture" }, scratch);
    const applying = new ReplicationRun({ ...halves, standby: regions.standby, half: "apply" }, scratch);
    await applying.next();
    const ours = await measured(link, applying.lines);
    await capturing.end();
    await applying.end();
    say("Qdrant's own pull");
    for (const name of names) await copyShape(primary, standby, name);
    const pullLink = await countingLink(primary.url, scratch);
    const pull = new PullLoop({ url: pullLink.url, apiKey: primary.apiKey }, standby, names, options.everyMs);
    await pull.next();
    const theirs = await measured(pullLink, pull.lines);
    await pull.end();
    for (const name of names) await call(standby, "DELETE", `/collections/${name}`);
    return { ours, pull: theirs, bytesVsPull: ours.bytesPerSecond / theirs.bytesPerSecond };
  }

  async function measured(link: { bytes(): number }, seen: readonly SeenState[]): Promise<BetweenRegions> {
    const [begun, before, rounds] = [Date.now(), link.bytes(), seen.length];
    await writing(betweenSeconds, options.pointsPerSecond);
    const ended = Date.now();
    const seenLags = lagsBetween(seen, begun, ended, () => true);
    return {
      bytesPerSecond: (link.bytes() - before) / ((ended - begun) / 1000),
      lagP50Seconds: quantile(seenLags, 0.5),
      lagP99Seconds: quantile(seenLags, 0.99),
      rounds: seen.length - rounds,
    };
  }

  async function measureCost() {
    say("writing as fast as it goes, with and without replication by turns");
    const run = new ReplicationRun({ ...regions, everyMs: options.everyMs }, scratch);
    await run.next();
    run.pause();
    const written = writing(costTurns.length * turnSeconds);
    // Awaited below.
    written.catch(() => undefined);
    for (const isReplicated of costTurns) {
      if (isReplicated) run.resume();
      else run.pause();
      await systemClock.sleep(turnSeconds * 1000);
    }
    const { perSecond } = await written;
    await run.kill();
    const rates = { without: [] as number[], with: [] as number[] };
    for (const [turn, isReplicated] of costTurns.entries()) {
      const seconds = perSecond.slice(turn * turnSeconds + turnBeginsAfterSeconds, (turn + 1) * turnSeconds);
      rates[isReplicated ? "with" : "without"].push(mean(seconds));
    }
    return rates;
  }
}

type SeenState = Pick<SeenLine, "asOf" | "seenAt">;

/** What each process uses from now on; of one second, when it is asked. */
function cpuMeter<Name extends string>(processes: Readonly<Record<Name, number | undefined>>) {
  const names = Object.keys(processes) as Name[];
  const before = new Map(names.map((name) => [name, cpuSeconds(processes[name])]));
  return (seconds: number): Record<Name, number> =>
    Object.fromEntries(
      names.map((name) => [name, (cpuSeconds(processes[name]) - (before.get(name) ?? 0)) / seconds]),
    ) as Record<Name, number>;
}

/** Now less what the newest ended cycle stands for, at every look. */
function lagsBetween<Line extends SeenState>(
  lines: readonly Line[],
  from: number,
  until: number,
  counts: (line: Line) => boolean,
): number[] {
  const lags: number[] = [];
  for (let at = from; at <= until; at += lookEveryMs) {
    const newest = lines.filter((line) => line.seenAt <= at && counts(line)).at(-1);
    if (newest !== undefined) lags.push((at - Date.parse(newest.asOf)) / 1000);
  }
  return lags.sort((a, b) => a - b);
}

function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function median(values: readonly number[]): number {
  return quantile(
    [...values].sort((a, b) => a - b),
    0.5,
  );
}

/** What this process starts from now on runs there; it stays where it is when the machine has no such means. */
function onCore(core: number): void {
  try {
    execFileSync("taskset", ["-p", "-c", String(core), String(process.pid)], { stdio: "ignore" });
  } catch {
    // Told by the load that is printed beside the numbers.
  }
}

async function pairOfRegions(primary: QdrantServer, standby: QdrantServer, store: SeaweedServer) {
  const [identity, recovery] = [await generateX25519Identity(), await generateX25519Identity()];
  const recipients = [await identityToRecipient(identity), await identityToRecipient(recovery)];
  const regionOf = async (name: string, peer: string, server: QdrantServer): Promise<Region> => {
    const region = regionSchema.parse({
      contract: 1,
      region: name,
      peer,
      role: name === "east" ? "active" : "standby",
      epoch: 1,
      objectives: { rtoMinutes: 30, rpoMinutes: 15 },
      qdrant: { peers: [server.url], apiKey: server.apiKey },
      repository: await store.bucket(`${name}-repository`),
      control: await store.bucket(`${name}-control`),
      keys: { recipients, identity, signing },
      trust,
    });
    const epoch = { epoch: 1, active: "east", reason: "initial", run: "bench", at: new Date().toISOString() };
    await storeOf(region, "control").create(controlLayout.epoch(1), Buffer.from(JSON.stringify(epoch)));
    return region;
  };
  return { source: await regionOf("east", "west", primary), standby: await regionOf("west", "east", standby) };
}

async function fill(server: QdrantServer, name: string, points: number, dimensions: number): Promise<void> {
  await call(server, "PUT", `/collections/${name}`, {
    vectors: { size: dimensions, distance: "Cosine" },
    wal_config: { wal_capacity_mb: 8 },
  });
  for (let from = 1; from <= points; from += 1_000) {
    const many = Array.from({ length: Math.min(1_000, points - from + 1) }, (_, n) => ({
      id: from + n,
      payload: { id: from + n, text: `document ${from + n}` },
      vector: Array.from({ length: dimensions }, () => Math.round(Math.random() * 20_000 - 10_000) / 10_000),
    }));
    await call(server, "PUT", `/collections/${name}/points?wait=true`, { points: many });
  }
  await untilStatus(server, name, "green", { everyMs: 200 });
}

/** The same collection on the standby, empty, and without optimizations: as a pull needs it. */
async function copyShape(primary: QdrantServer, standby: QdrantServer, name: string): Promise<void> {
  const { config } = (await call(primary, "GET", `/collections/${name}`)) as { config: Record<string, object> };
  await call(standby, "DELETE", `/collections/${name}`);
  await call(standby, "PUT", `/collections/${name}`, {
    ...config["params"],
    wal_config: config["wal_config"],
    optimizers_config: { max_optimization_threads: 0 },
  });
}

async function contentOf(server: QdrantServer, name: string): Promise<Map<number, string>> {
  const content = new Map<number, string>();
  for (let offset: number | null = 0; offset !== null; ) {
    const page = (await call(server, "POST", `/collections/${name}/points/scroll`, {
      offset,
      limit: 5_000,
      with_payload: true,
      with_vector: true,
    })) as { points: { id: number }[]; next_page_offset: number | null };
    for (const point of page.points) content.set(point.id, JSON.stringify(point));
    offset = page.next_page_offset;
  }
  return content;
}
