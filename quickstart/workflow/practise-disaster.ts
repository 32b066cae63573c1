/**
 * Practises a disaster on an estate of two regions: loads a workspace, captures and copies recovery points while a
 * client writes without pause, destroys the primary region, fails over, and measures what the client saw.
 */

import { formatBytes, formatCount, formatSeconds } from "../../runtime/domain/format.ts";
import type { TimedStep } from "../../runtime/domain/timed-step.ts";
import { DrError } from "../../runtime/errors.ts";
import type { Clock } from "../../runtime/ports/clock.ts";
import type { Progress } from "../../runtime/ports/progress.ts";
import type { VectorDatabase } from "../../runtime/ports/qdrant.ts";
import type { Stacks } from "../../runtime/ports/stacks.ts";
import type { CaptureReport } from "../../runtime/workflows/capture/capture-report.ts";
import type { CopyReport } from "../../runtime/workflows/copy/copy-recovery-points.ts";
import type { RoleChangeReport } from "../../runtime/workflows/failover/fail-over.ts";
import type { VerifyReport } from "../../runtime/workflows/verify/verify-recovery-point.ts";
import { proofsOf } from "../domain/practice-proofs.ts";
import type { PracticeCollection, PracticeResult } from "../domain/practice-result.ts";
import {
  acknowledgedBefore,
  lostWrites,
  measureOutage,
  recoveryPointSeconds,
  type WriteLogEntry,
} from "../domain/write-log.ts";
import type { LoadReport } from "./load-workspace.ts";

/** Writes that must be acknowledged between the captures, and after the last one: some of them will be lost. */
const writesBetween = 60;
const servedWithinMs = 60_000;

/** A client that never stops, and its record. */
export interface WritingClient {
  log(): Promise<readonly WriteLogEntry[]>;
  /** Returns when the record holds what is looked for. Throws when the client ended or the time is up. */
  until(isThere: (log: readonly WriteLogEntry[]) => boolean, withinMs: number): Promise<void>;
  stop(): Promise<void>;
}

/** The estate that is practised on, with its two regions. */
export interface PracticeEstate {
  readonly stacks: Pick<Stacks, "up">;
  load(progress: Progress): Promise<LoadReport>;
  startClient(collections: readonly string[]): Promise<WritingClient>;
  capture(type: "full" | "incremental", progress: Progress): Promise<CaptureReport>;
  copy(progress: Progress): Promise<CopyReport>;
  verify(progress: Progress): Promise<readonly VerifyReport[]>;
  database(region: "primary" | "standby"): Promise<VectorDatabase>;
  /** Kills the primary's processes and removes its disk; answers when the signals were sent and when all were gone. */
  destroyPrimary(): Promise<{ readonly killedAt: Date; readonly goneAt: Date }>;
  failOver(progress: Progress): Promise<RoleChangeReport>;
  versions(): Promise<Readonly<Record<string, string>>>;
}

export interface PracticeRequest {
  readonly estate: PracticeEstate;
  readonly clock: Clock;
  readonly progress: Progress;
  /** Told when a step begins and when it ended. */
  readonly onStep: (event: { readonly title: string; readonly ended?: TimedStep }) => void;
  readonly objectives: { readonly rtoMinutes: number; readonly rpoMinutes: number };
  readonly report: string;
}

const practiceSteps = {
  provision: "Provision two regions (pulumi up)",
  load: "Load a workspace's documents",
  "capture-full": "Capture a full recovery point",
  "write-on": "Let the client write on",
  "capture-incremental": "Capture an incremental recovery point",
  copy: "Copy both to the standby's bucket",
  verify: "Verify both in the standby's bucket",
  disaster: "Kill the primary region, remove its disks",
  failover: "Fail over to the standby region",
  measure: "Measure what the client saw",
} as const;

export async function practiseDisaster(request: PracticeRequest): Promise<PracticeResult> {
  const { clock, estate, objectives, progress, report } = request;
  const startedAt = clock.now();
  const steps: TimedStep[] = [];
  const step = async <T>(name: keyof typeof practiceSteps, act: () => Promise<T>, describe: (outcome: T) => string) => {
    const title = practiceSteps[name];
    request.onStep({ title });
    const begun = clock.now();
    const outcome = await act();
    const seconds = secondsBetween(begun, clock.now());
    const ended = { name, title, startedAt: begun.toISOString(), seconds, detail: describe(outcome) };
    steps.push(ended);
    request.onStep({ title, ended });
    return outcome;
  };

  await step(
    "provision",
    async () => {
      // The standby first: it runs the public endpoint, which the primary's route needs.
      const standby = await estate.stacks.up("standby", ({ text }) => progress({ step: "provision", detail: text }));
      const primary = await estate.stacks.up("primary", ({ text }) => progress({ step: "provision", detail: text }));
      return (standby.changes["create"] ?? 0) + (primary.changes["create"] ?? 0);
    },
    (resources) => `${resources} resources in two stacks`,
  );
  const loaded = await step(
    "load",
    () => estate.load(progress),
    ({ collections, points }) => `${formatCount(points)} points in ${collections.length} collections`,
  );
  const names = loaded.collections.map(({ name }) => name);
  const client = await estate.startClient(names);
  try {
    await client.until((log) => acknowledged(log) >= writesBetween, servedWithinMs);
    const full = await step("capture-full", () => estate.capture("full", progress), describeCapture);
    const before = acknowledged(await client.log());
    await step(
      "write-on",
      () => client.until((log) => acknowledged(log) >= before + writesBetween, servedWithinMs),
      () => `${writesBetween} more writes acknowledged`,
    );
    const incremental = await step(
      "capture-incremental",
      () => estate.capture("incremental", progress),
      describeCapture,
    );
    await step(
      "copy",
      () => estate.copy(progress),
      ({ bytes, copied, objects }) => `${copied.length} points, ${formatCount(objects)} objects, ${formatBytes(bytes)}`,
    );
    const verified = await step(
      "verify",
      () => estate.verify(progress),
      (reports) => `${formatBytes(sum(reports, ({ bytes }) => bytes))} read and opened`,
    );
    const afterCopy = acknowledged(await client.log());
    await client.until((log) => acknowledged(log) >= afterCopy + writesBetween, servedWithinMs);
    const pointsBefore = await countEach(await estate.database("primary"), names);
    const { goneAt, killedAt } = await step(
      "disaster",
      () => estate.destroyPrimary(),
      (disaster) => `SIGKILL at ${disaster.killedAt.toISOString()}`,
    );
    const failover = await step(
      "failover",
      () => estate.failOver(progress),
      ({ epoch, recoveryPoint }) => `epoch ${epoch}, from ${recoveryPoint}`,
    );
    return await step(
      "measure",
      async () => {
        // A dying server may still have answered: only what was written after it was gone shows that clients are served.
        await client.until((log) => measureOutage(log, goneAt.getTime()) !== undefined, servedWithinMs);
        await client.stop();
        const log = await client.log();
        const outage = measureOutage(log, goneAt.getTime());
        if (outage === undefined)
          throw new DrError("OBJECT_NOT_FOUND", "the client's record ends before it was served");
        const standby = await estate.database("standby");
        const { collections, hasAllLater, lost } = await compareWithRecord(standby, log, goneAt, pointsBefore);
        return {
          rtoSeconds: (outage.servedAt - killedAt.getTime()) / 1000,
          rpoSeconds: recoveryPointSeconds(lost, killedAt.getTime()),
          rtoObjectiveSeconds: objectives.rtoMinutes * 60,
          rpoObjectiveSeconds: objectives.rpoMinutes * 60,
          lostWrites: lost.length,
          acknowledgedWrites: sum(collections, ({ acknowledgedWrites }) => acknowledgedWrites),
          pointsBefore: sum(collections, (collection) => collection.pointsBefore),
          pointsAfter: sum(collections, ({ pointsAfter }) => pointsAfter),
          verified: failover.isVerified && hasAllLater && verified.length === 2,
          startedAt: startedAt.toISOString(),
          killedAt: killedAt.toISOString(),
          servedAt: new Date(outage.servedAt).toISOString(),
          steps,
          failover: failover.steps,
          collections,
          points: [full, incremental].map(({ isExact, recoveryPoint, readBytes, storedBytes, time, type }) => ({
            id: recoveryPoint,
            type,
            time,
            isExact,
            readBytes,
            storedBytes,
          })),
          restoredPoint: failover.recoveryPoint,
          proofs: proofsOf({ failover, verified, collections, hasAllLater }),
          versions: await estate.versions(),
          report,
        };
      },
      ({ lostWrites: lost, rtoSeconds }) =>
        `served again after ${formatSeconds(rtoSeconds)}, ${formatCount(lost)} writes lost`,
    );
  } finally {
    await client.stop();
  }
}

/** What the standby holds, against what the client was told is safe. */
async function compareWithRecord(
  standby: VectorDatabase,
  log: readonly WriteLogEntry[],
  goneAt: Date,
  pointsBefore: ReadonlyMap<string, number>,
) {
  const before = acknowledgedBefore(log, goneAt.getTime());
  const all = acknowledgedBefore(log, Number.POSITIVE_INFINITY);
  const collections: PracticeCollection[] = [];
  const lost: { at: number }[] = [];
  let hasAllLater = true;
  for (const [name, count] of pointsBefore) {
    const present: number[] = [];
    for await (const id of standby.ids(name)) if (typeof id === "number") present.push(id);
    const acknowledgedThen = before.get(name) ?? [];
    const lostHere = lostWrites(acknowledgedThen, present);
    lost.push(...lostHere);
    hasAllLater &&= lostWrites(all.get(name) ?? [], present).length === lostHere.length;
    collections.push({
      name,
      pointsBefore: count,
      pointsAfter: await standby.count(name),
      acknowledgedWrites: acknowledgedThen.length,
      lostIds: lostHere.map(({ id }) => id),
    });
  }
  return { collections, hasAllLater, lost };
}

async function countEach(database: VectorDatabase, names: readonly string[]): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, await database.count(name));
  return counts;
}

function describeCapture({ isExact, points, readBytes, storedBytes }: CaptureReport): string {
  return `${formatCount(points)} points, ${formatBytes(readBytes)} read, ${formatBytes(storedBytes)} stored, ${isExact ? "exact" : "not known to be exact"}`;
}

function acknowledged(log: readonly WriteLogEntry[]): number {
  return log.filter(({ kind }) => kind === "acknowledged").length;
}

function sum<T>(items: readonly T[], value: (item: T) => number): number {
  return items.reduce((total, item) => total + value(item), 0);
}

function secondsBetween(from: Date, to: Date): number {
  return (to.getTime() - from.getTime()) / 1000;
}
