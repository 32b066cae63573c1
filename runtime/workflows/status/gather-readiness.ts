/** Gathers the facts by which a region's readiness to take over is judged. */
import type {
  Fact,
  NewestRecoveryPoint,
  Objectives,
  ReadinessFacts,
  StandbyLag,
} from "../../domain/health/readiness.ts";
import { missingFrom, missingInWords } from "../../domain/recovery-points/missing.ts";
import { believedTime, doubtOf } from "../../domain/recovery-points/order.ts";
import { isExact, keysOf, type RecoveryPoint } from "../../domain/recovery-points/recovery-point.ts";
import { controlLayout } from "../../domain/recovery-points/store-layout.ts";
import { effectiveRole, newestEpoch } from "../../domain/roles/epoch.ts";
import { DrError } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { ObjectStore } from "../../ports/object-store.ts";
import { readEpochs } from "../../repository/control/epochs.ts";
import { readOpening } from "../../repository/control/gate-records.ts";
import { newestFinishedRestore } from "../../repository/control/restore-records.ts";
import { readStandbyKnowledge } from "../../repository/control/standby-records.ts";
import { getWhole } from "../../repository/record.ts";
import type { OpenRepository } from "../../repository/repository.ts";
import { allCaptured, estimateRestore } from "../apply/estimate-restore.ts";
import { type AskResult, ask, type FoundRecoveryPoint, type ObservedRegion, type Timeouts } from "./observed-region.ts";

export interface ReadinessRequest {
  readonly region: ObservedRegion;
  readonly objectives: Objectives;
  readonly found: AskResult<FoundRecoveryPoint>;
  /** The newest epoch that the other region knows, as far as it answered. */
  readonly otherEpoch: number | undefined;
  readonly backend: ReadinessFacts["backend"];
  /** Absent: nobody asked for it. */
  readonly preview?: (() => Promise<{ readonly changes: Readonly<Record<string, number>> }>) | undefined;
  /** False: nothing is written, not even what stands there already. */
  readonly mayWrite?: boolean;
  readonly clock: Clock;
  readonly patience: Timeouts;
}

/** The engine starts, runs the program and asks every resource. */
const previewMs = 5 * 60_000;

export async function gatherReadiness(request: ReadinessRequest): Promise<ReadinessFacts> {
  const { backend, clock, mayWrite = true, objectives, otherEpoch, patience, preview, region } = request;
  const { answerMs } = patience;
  const { control } = region.stores;
  const { declared, gate: front } = region;
  const quick = <T>(what: string, question: () => Promise<T>) => factOf(answerMs, what, question);
  const [role, server, gate, machine, writable, traffic, practice, standby, recoveryPoints, drift] = await Promise.all([
    quick("the control store", async () => {
      const epoch = newestEpoch(await readEpochs(control));
      if (epoch === undefined) throw new DrError("ROLE_UNKNOWN", "the control store holds no epoch");
      return { role: effectiveRole(region.region, epoch), epoch: epoch.epoch, otherEpoch };
    }),
    quick("Qdrant", async () => {
      // The version is told to everyone; that the key is right, only this shows.
      await region.database.collections();
      return { version: await region.database.version() };
    }),
    front === undefined ? { value: undefined } : quick("the gate", () => front.state()),
    declared.capacity === undefined ? quick("Qdrant", () => region.database.machine()) : { value: declared.capacity },
    mayWrite ? quick("the control store", () => writeAgain(control)) : { notAsked: "who asks writes nothing" },
    region.publicDatabase === undefined
      ? { notAsked: "the region has no public name" }
      : quick("the traffic control", async () => ({ leadsTo: (await region.traffic().current())?.region })),
    quick("the control store", async () => {
      const last = await newestPractice(region, clock.now());
      return last && { what: last.what, ageSeconds: secondsSince(last.at, clock) };
    }),
    quick("the control store", async () => {
      const lag = await standbyLag(control, clock);
      return lag ?? (declared.replicate === undefined ? undefined : "absent");
    }),
    gatherRecoveryPoint(request),
    preview === undefined
      ? { notAsked: "ask with --drift" }
      : factOf(previewMs, "`pulumi preview`", async () => changesIn((await preview()).changes)),
  ]);
  return {
    objectives,
    role,
    server,
    gate,
    machine,
    writable,
    traffic,
    practice,
    backend,
    drift,
    standby,
    ...recoveryPoints,
  };
}

async function gatherRecoveryPoint({ clock, found, patience, region }: ReadinessRequest) {
  const { readingMs } = patience;
  if (!("value" in found)) return { recoveryPoint: found, keys: found, restore: found };
  const { newest, repository, wanting } = found.value;
  const keys = await factOf(readingMs, "the control store", () => openKeys(repository, newest?.recoveryPoint));
  if (newest === undefined) {
    const none = { none: wanting === undefined ? "the bucket is empty" : `none is complete; ${wanting}` };
    return { recoveryPoint: { value: none }, keys, restore: { notAsked: "there is no recovery point to look at" } };
  }
  const restore = await factOf(readingMs, "the repository", () => estimate(repository, newest.recoveryPoint));
  return { recoveryPoint: { value: described(newest, region.region, clock) }, keys, restore };
}

/** How far replication to this region is behind, in the current epoch: what it did before another failover holds no more. */
async function standbyLag(control: ObjectStore, clock: Clock): Promise<StandbyLag | undefined> {
  const { begunAt, held } = await readStandbyKnowledge(control, clock.now());
  const epoch = newestEpoch(await readEpochs(control))?.epoch;
  if (held === undefined || held.epoch !== epoch) return undefined;
  const doubt = doubtOf("what the standby holds", held.asOf, { now: clock.now() });
  if (doubt !== undefined) throw new DrError("ANSWER_UNREADABLE", doubt);
  return {
    lagSeconds: secondsSince(held.asOf, clock),
    exactLagSeconds: held.exactAsOf === undefined ? undefined : secondsSince(held.exactAsOf, clock),
    begunSeconds: begunAt === undefined ? undefined : secondsSince(begunAt, clock),
  };
}

/** A failover to here, or a restore, whichever was done last. */
async function newestPractice(
  { region, stores }: ObservedRegion,
  now: Date,
): Promise<{ what: string; at: string } | undefined> {
  const restore = await newestFinishedRestore(stores.control);
  const promotions = (await readEpochs(stores.control)).filter(({ active }) => active === region);
  const newest = newestEpoch(promotions.filter(({ reason }) => reason === "switchover" || reason === "failover"));
  const opening = newest && (await readOpening(stores.control, newest.epoch));
  const done = [
    restore && { what: `restore of ${restore.recoveryPoint}`, at: restore.at },
    opening && { what: `${newest?.reason} to epoch ${opening.epoch}`, at: opening.at },
  ].filter((practice) => practice !== undefined);
  // What is ahead of the clock here was not done yesterday.
  const believed = done.filter(({ at }) => believedTime(at, { now }) !== undefined);
  return believed.sort((a, b) => Date.parse(a.at) - Date.parse(b.at)).at(-1);
}

function described(
  { asOf, doubt, entry: { attestations }, recoveryPoint }: NonNullable<FoundRecoveryPoint["newest"]>,
  region: string,
  clock: Clock,
): NewestRecoveryPoint {
  return {
    id: recoveryPoint.id,
    ageSeconds: secondsSince(asOf, clock),
    doubt,
    isExact: isExact(recoveryPoint),
    isVerified: attestations.some((finding) => finding.kind === "verified" && finding.region === region),
    missing: missingFrom(recoveryPoint).map(missingInWords),
    qdrantVersion: recoveryPoint.qdrantVersion,
  };
}

/** How many keys the repository and the recovery point need; throws when one of them does not open here. */
async function openKeys(repository: OpenRepository, recoveryPoint: RecoveryPoint | undefined): Promise<number> {
  const ids = [repository.description.key, ...(recoveryPoint === undefined ? [] : keysOf(recoveryPoint))];
  for (const id of ids) await repository.keys.key(id);
  return ids.length;
}

async function estimate(
  repository: OpenRepository,
  recoveryPoint: RecoveryPoint,
): Promise<{ bytes: number; seconds: number }> {
  const { bytes, predictedSeconds } = await estimateRestore(repository, allCaptured(recoveryPoint));
  return { bytes, seconds: predictedSeconds };
}

/** Creates a record that is there already, with its own bytes: whoever may not write is refused, and nothing changes. */
export async function writeAgain(control: ObjectStore): Promise<true> {
  const epoch = newestEpoch(await readEpochs(control));
  if (epoch === undefined) throw new DrError("ROLE_UNKNOWN", "the control store holds no epoch");
  const key = controlLayout.epoch(epoch.epoch);
  await control.create(key, await getWhole(control, key));
  return true;
}

function changesIn(changes: Readonly<Record<string, number>>): string[] {
  return Object.entries(changes).flatMap(([operation, count]) => (count > 0 ? [`${operation} ${count}`] : []));
}

async function factOf<T>(ms: number, what: string, question: () => Promise<T>): Promise<Fact<T>> {
  const answer = await ask(ms, what, question);
  return "value" in answer ? answer : { problem: answer.problem };
}

function secondsSince(time: string | Date, clock: Clock): number {
  return Math.max(0, (clock.now().getTime() - new Date(time).getTime()) / 1000);
}
