/**
 * Failovers of a practice estate under a writer that never stops, by the product's own commands, as the writer sees them:
 * a switchover to the standby, a warm failover back, and a cold failover once more.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { EmbeddedEstate } from "../quickstart/adapters/embedded-estate.ts";
import { killEstate } from "../quickstart/adapters/local-process.ts";
import type { Region } from "../runtime/domain/region.ts";
import { systemClock } from "../runtime/time/system-clock.ts";
import { waitUntil } from "../runtime/time/wait-until.ts";
import { NODE_FLAGS } from "../setup/node-flags.mjs";
import type { AcknowledgedBatch, FailoverWriterOrder } from "./failover-writer-process.ts";
import { call, type QdrantAddress } from "./qdrant-call.ts";
import type { Scratch } from "./scratch.ts";

export interface FailoverOptions {
  readonly collections: number;
  readonly points: number;
  readonly dimensions: number;
  readonly pointsPerSecond: number;
}

interface StepShare {
  readonly name: string;
  readonly seconds: number;
}

export interface FailoverMeasurements {
  readonly plannedLostWrites: number;
  /** The longest time between two acknowledged batches, of any collection. */
  readonly plannedPauseSeconds: number;
  readonly plannedSteps: readonly StepShare[];
  /** SIGKILL to the first write that was acknowledged and read back. The command comes `issuedAfterSeconds` after the kill. */
  readonly warmRtoSeconds: number;
  readonly issuedAfterSeconds: number;
  /** As `failover plan` said before, and `issuedAfterSeconds`. */
  readonly warmRtoPredictedSeconds: number;
  /** From the oldest acknowledged write that is lost to the kill. */
  readonly warmRpoSeconds: number;
  readonly warmLostWrites: number;
  readonly warmSteps: readonly StepShare[];
  readonly coldRtoSeconds: number;
  /** As `failover plan` said before, and `issuedAfterSeconds`. */
  readonly coldRtoPredictedSeconds: number;
  readonly coldRestoreSeconds: number;
  readonly coldRestorePredictedSeconds: number;
  readonly coldBytes: number;
  readonly coldSteps: readonly StepShare[];
  readonly acknowledgedWrites: number;
}

type Name = "primary" | "standby";

const issuedAfterSeconds = 5;
/** Replication is level, and has been for a while. */
const levelForMs = 10_000;
const servedWithinMs = 300_000;
const levelWithinMs = 600_000;
const main = fileURLToPath(new URL("../runtime/main.ts", import.meta.url));
const writerProgram = fileURLToPath(new URL("failover-writer-process.ts", import.meta.url));
const quietly = () => {};

export async function measureFailover(
  scratch: Scratch,
  options: FailoverOptions,
  say: (text: string) => void,
): Promise<FailoverMeasurements> {
  const estate = await EmbeddedEstate.create();
  scratch.defer(() => estate.remove());
  await estate.keep();
  say("provisioning two regions");
  await estate.stacks.up("standby", quietly);
  await estate.stacks.up("primary", quietly);
  const regions = { primary: await estate.stacks.region("primary"), standby: await estate.stacks.region("standby") };
  const names = Array.from({ length: options.collections }, (_, n) => `documents-${n + 1}`);
  say(`filling ${options.points} points into ${names.length} collections`);
  const perCollection = Math.ceil(options.points / names.length);
  for (const name of names) await fill(regions.primary, name, perCollection, options.dimensions);

  const writer = new Writer(scratch, {
    url: regions.standby.endpoint?.url ?? "",
    apiKey: regions.standby.endpoint?.clientKey ?? "",
    collections: names,
    dimensions: options.dimensions,
    pointsPerSecond: options.pointsPerSecond,
    firstId: perCollection + 1,
  });
  const command = async (...args: string[]) => {
    const { output } = await scratch.run(process.execPath, [
      ...NODE_FLAGS,
      main,
      ...args,
      "--estate",
      estate.id,
      "--json",
    ]);
    return JSON.parse(output.trimEnd().split("\n").at(-1) ?? "{}") as Record<string, unknown>;
  };

  const forth = follow(scratch, estate.id, "primary", "standby");
  await forth.level(levelForMs);
  say("switchover to the standby");
  const plannedAt = Date.now();
  const planned = await command("switchover", "run", "--to", "standby");
  await writer.until((batches) => batches.filter(({ at }) => at > Date.now() - 2_000).length > names.length);
  const plannedPauseSeconds = longestGap(writer.batches, plannedAt - 2_000) / 1000;
  const plannedLost = await lostIn(regions.standby, writer.batches, names);

  say("warm failover, back again");
  const back = follow(scratch, estate.id, "standby", "primary");
  await back.level(levelForMs);
  const warmPlan = await command("failover", "plan", "--to", "primary");
  const warm = await disaster(["standby-qdrant", "standby-gate"], "primary", command, writer, estate);
  const warmLost = await lostIn(regions.primary, writer.batches, names, warm.killedAt);

  say("cold failover: the standby's Qdrant is lost, and its bucket holds the newest recovery point");
  await estate.stacks.refresh("standby");
  await estate.stacks.up("standby", quietly);
  await command("replicate", "--from", "primary", "--to", "standby", "--replace-existing", "--once");
  // As it is scheduled in a region: predictions are made from what it took.
  await command("restore", "--test", "--stack", "standby");
  for (const name of names) await call(serverOf(regions.standby), "DELETE", `/collections/${name}`);
  const plan = await command("failover", "plan", "--to", "standby");
  const cold = await disaster(["primary-qdrant", "primary-gate", "primary-store"], "standby", command, writer, estate);
  await writer.end();

  return {
    plannedLostWrites: plannedLost.length,
    plannedPauseSeconds,
    plannedSteps: sharesOf(planned),
    warmRtoSeconds: warm.rtoSeconds,
    issuedAfterSeconds,
    warmRtoPredictedSeconds: issuedAfterSeconds + Number(warmPlan["predictedSeconds"]),
    warmRpoSeconds: warmLost.length === 0 ? 0 : (warm.killedAt - Math.min(...warmLost)) / 1000,
    warmLostWrites: warmLost.length,
    warmSteps: sharesOf(warm.report),
    coldRtoSeconds: cold.rtoSeconds,
    coldRestoreSeconds: sharesOf(cold.report).find(({ name }) => name === "restore")?.seconds ?? Number.NaN,
    coldRestorePredictedSeconds: Number(plan["restoreSeconds"]),
    coldRtoPredictedSeconds: issuedAfterSeconds + Number(plan["predictedSeconds"]),
    coldBytes: Number(plan["bytes"]),
    coldSteps: sharesOf(cold.report),
    acknowledgedWrites: writer.batches.reduce((sum, { count }) => sum + count, 0),
  };
}

/** The region's servers are killed; the command comes when somebody has noticed. */
async function disaster(
  lost: readonly string[],
  to: Name,
  command: (...args: string[]) => Promise<Record<string, unknown>>,
  writer: Writer,
  estate: EmbeddedEstate,
) {
  const killedAt = Date.now();
  await killEstate(estate.id, lost);
  const goneAt = Date.now();
  await systemClock.sleep(killedAt + 1000 * issuedAfterSeconds - Date.now());
  const report = await command("failover", "run", "--to", to, "--accept-data-loss", "3600");
  const isServed = ({ at, isReadBack }: AcknowledgedBatch) => isReadBack && at > goneAt;
  await writer.until((batches) => batches.some(isServed));
  const servedAt = writer.batches.find(isServed)?.at ?? Number.NaN;
  return { killedAt, report, rtoSeconds: (servedAt - killedAt) / 1000 };
}

function sharesOf(report: Record<string, unknown>): StepShare[] {
  return (report["steps"] as StepShare[]).map(({ name, seconds }) => ({ name, seconds }));
}

function longestGap(batches: readonly AcknowledgedBatch[], from: number): number {
  const times = batches.map(({ at }) => at).filter((at) => at >= from);
  return times.reduce((longest, at, n) => Math.max(longest, at - (times[n - 1] ?? at)), 0);
}

/** When each point was acknowledged that is not in the region now. */
async function lostIn(
  region: Region,
  batches: readonly AcknowledgedBatch[],
  names: readonly string[],
  until = Date.now(),
): Promise<number[]> {
  const lost: number[] = [];
  for (const name of names) {
    const present = await idsOf(region, name);
    for (const { at, collection, count, first } of batches) {
      if (collection !== name || at > until) continue;
      for (let id = first; id < first + count; id += 1) if (!present.has(id)) lost.push(at);
    }
  }
  return lost;
}

async function idsOf(region: Region, collection: string): Promise<Set<number>> {
  const ids = new Set<number>();
  for (let offset: unknown; offset !== null; ) {
    const body = {
      limit: 10_000,
      with_payload: false,
      with_vector: false,
      ...(offset === undefined ? {} : { offset }),
    };
    const result = (await call(serverOf(region), "POST", `/collections/${collection}/points/scroll`, body)) as {
      points: { id: number }[];
      next_page_offset: unknown;
    };
    for (const { id } of result.points) ids.add(id);
    offset = result.next_page_offset ?? null;
  }
  return ids;
}

function serverOf({ qdrant }: Region): QdrantAddress {
  const { apiKey, peers } = qdrant;
  const [url] = peers;
  if (url === undefined || apiKey === undefined) throw new Error("the outputs name no Qdrant and its key");
  return { url, apiKey };
}

async function fill(region: Region, name: string, points: number, dimensions: number): Promise<void> {
  const server = serverOf(region);
  await call(server, "PUT", `/collections/${name}`, {
    vectors: { size: dimensions, distance: "Cosine" },
    wal_config: { wal_capacity_mb: 1 },
  });
  for (let first = 1; first <= points; first += 500) {
    const batch = Array.from({ length: Math.min(500, points - first + 1) }, (_, n) => ({
      id: first + n,
      payload: { id: first + n },
      vector: Array.from({ length: dimensions }, () => Math.round(Math.random() * 20_000 - 10_000) / 10_000),
    }));
    await call(server, "PUT", `/collections/${name}/points?wait=true`, { points: batch });
  }
}

/** `replicate`, as an operator runs it. */
function follow(scratch: Scratch, estate: string, from: Name, to: Name) {
  const args = ["replicate", "--from", from, "--to", to, "--every", "0", "--replace-existing", "--estate", estate];
  const child = spawn(process.execPath, [...NODE_FLAGS, main, ...args], { stdio: ["ignore", "ignore", "pipe"] });
  scratch.defer(() => stop(child));
  let levelSince: number | undefined;
  const cycles = createInterface({ input: child.stderr });
  cycles.on("line", (line) => {
    if (/the standby holds .*\((\d+(\.\d+)?) (ms|s) behind\)/.test(line)) levelSince ??= Date.now();
  });
  return {
    async level(forMs: number): Promise<void> {
      const wait = { what: `${to} to be level with ${from}`, withinMs: levelWithinMs, everyMs: 200 };
      await waitUntil(systemClock, wait, () => {
        if (child.exitCode !== null) throw new Error(`replication from ${from} to ${to} ended with ${child.exitCode}`);
        return levelSince !== undefined && Date.now() - levelSince > forMs;
      });
    },
  };
}

class Writer {
  readonly batches: AcknowledgedBatch[] = [];
  readonly #child: ChildProcess;

  constructor(scratch: Scratch, order: FailoverWriterOrder) {
    const child = spawn(process.execPath, [...NODE_FLAGS, writerProgram], { stdio: ["pipe", "pipe", "inherit"] });
    this.#child = child;
    scratch.defer(() => stop(child));
    child.stdin.end(JSON.stringify(order));
    const lines = createInterface({ input: child.stdout });
    lines.on("line", (line) => this.batches.push(JSON.parse(line) as AcknowledgedBatch));
  }

  async until(isThere: (batches: readonly AcknowledgedBatch[]) => boolean): Promise<void> {
    const wait = { what: "the writer to be served", withinMs: servedWithinMs, everyMs: 100 };
    await waitUntil(systemClock, wait, () => isThere(this.batches));
  }

  end(): Promise<void> {
    return stop(this.#child);
  }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, "exit");
  child.kill("SIGTERM");
  const late = setTimeout(() => child.kill("SIGKILL"), 20_000);
  await exit;
  clearTimeout(late);
}
