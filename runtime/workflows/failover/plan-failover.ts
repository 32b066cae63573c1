/** Plans of role changes: which epoch they make, what the region serves from then on, and what is lost. Planning changes nothing. */
import {
  type CatalogEntry,
  doubtIn,
  isRestoredByName,
  type RestorableEntry,
} from "../../domain/recovery-points/catalog.ts";
import { lackedCollections } from "../../domain/recovery-points/missing.ts";
import { believedTime, compareAge, doubtOf, isWithin } from "../../domain/recovery-points/order.ts";
import {
  type CapturedCollection,
  capturedAt,
  type RecoveryPoint,
} from "../../domain/recovery-points/recovery-point.ts";
import { peerOf, type Region } from "../../domain/region.ts";
import { type EpochRecord, newestEpoch } from "../../domain/roles/epoch.ts";
import type { GateMode } from "../../domain/roles/gate.ts";
import { DrError } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import { fewQuestions } from "../../repository/catalog/content-presence.ts";
import {
  type BelievedAge,
  isQuarantined,
  never,
  readEntry,
  readNewestRecoveryPoint,
} from "../../repository/catalog/read-catalog.ts";
import { readEpochs } from "../../repository/control/epochs.ts";
import { isStepDone } from "../../repository/control/failover-records.ts";
import type { FollowedState } from "../../repository/control/followed-records.ts";
import { readFollowedStandby } from "../../repository/control/followed-standby.ts";
import { readStandbyState, type StandbyState } from "../../repository/control/standby-records.ts";
import { findObject, newestPosition } from "../../repository/journal/journal-reader.ts";
import { unlessMissing } from "../../repository/record.ts";
import type { OpenRepository } from "../../repository/repository.ts";
import type { StepName } from "./step-names.ts";

/** A standby whose state was captured longer ago is not followed any more. */
const followsWithinMs = 60_000;

export type Mode = "switchover" | "failover";

/** The last step of a role change: when it is done, nothing is left to do. */
const lastSteps: Readonly<Record<Mode, StepName>> = { switchover: "step-down", failover: "promote" };

interface Promotion {
  /** The region that is promoted, and the one that is active until then. */
  readonly region: string;
  readonly from: string;
  readonly epoch: number;
  /** Undefined when the promoted region has no gate. */
  readonly gateMode: GateMode | undefined;
  /** When planning began: the report counts from then. */
  readonly plannedAt: Date;
  /** The same by the monotonic clock. */
  readonly plannedAtMs: number;
}

type PlanningStart = Pick<Promotion, "plannedAt" | "plannedAtMs">;

/** Seconds whose acknowledged writes may be lost; and by collection, of which some may have been captured later. */
interface DataLoss {
  readonly dataLossSeconds: number;
  readonly dataLossSecondsOf: Readonly<Record<string, number>>;
}

export interface ServableState {
  readonly recoveryPoint: RecoveryPoint;
  /** Everything acknowledged before this is in it, by times that can be believed. */
  readonly asOf: Date;
  /** Why the time that it names itself does not count. */
  readonly doubt?: string | undefined;
  /** This region's Qdrant holds the recovery point already, as its replication recorded. */
  readonly isWarm: boolean;
  /** Collections that the lost region had, that no capture could read, and that are not here: they would not be served. */
  readonly absent: readonly string[];
  /** The region's Qdrant began from the recovery point and has followed the journal since: what of it is not applied yet comes first. */
  readonly followed?: FollowedState | undefined;
}

/** Fences the active region, brings its last writes over and loses nothing. */
export interface SwitchoverPlan extends Promotion {
  readonly kind: "switchover";
  /**
   * The promoted region may hold collections from when it was active itself. After a switchover the other region has all of
   * them: they are replaced. After a failover they diverged: points that only they hold are recorded before they are replaced.
   */
  readonly past: "none" | "replaceable" | "diverged";
}

/** Serves from what the region has. */
export interface FailoverPlan extends Promotion, DataLoss {
  readonly kind: "failover";
  readonly serveFrom: ServableState;
}

/** Completes what an earlier run began, which claimed the epoch and may have died. */
export interface ResumePlan extends Promotion, DataLoss {
  readonly kind: "resume";
  /** The role change that the earlier run began. */
  readonly mode: Mode;
  readonly serveFrom: ServableState;
  /** The other region lives: its stack is updated last. */
  readonly stepsDown: boolean;
  /** The earlier run did all there is to do. */
  readonly hasEnded: boolean;
}

export type RoleChangePlan = SwitchoverPlan | FailoverPlan | ResumePlan;

export function modeOf(plan: RoleChangePlan): Mode {
  return plan.kind === "resume" ? plan.mode : plan.kind;
}

export interface PlanRequest {
  /** The region to promote. */
  readonly region: Region;
  readonly repository: OpenRepository;
  readonly clock: Clock;
}

export interface FailoverPlanRequest extends PlanRequest {
  /** Another recovery point than the newest: everything acknowledged after it is lost. */
  readonly recoveryPoint?: string | undefined;
  /** It is served from although it is quarantined. */
  readonly althoughQuarantined?: boolean | undefined;
}

/** Throws ROLE_UNKNOWN or ROLE_REFUSES when there is nothing to be planned. */
export async function planSwitchover(request: PlanRequest): Promise<SwitchoverPlan | ResumePlan> {
  const { clock, region, repository } = request;
  const start = startOf(clock);
  const epochs = await readEpochs(repository.stores.control);
  const newest = requireEpoch(region.region, epochs);
  if (newest.active === region.region) return planResume(request, newest, { ...start, stepsDown: true });
  return { kind: "switchover", ...promotion(region, newest, start), past: pastOf(region.region, epochs) };
}

/**
 * Throws ROLE_UNKNOWN, ROLE_REFUSES, RECOVERY_POINT_NOT_FOUND or RECOVERY_POINT_INCOMPLETE when there is nothing to be planned, and USAGE
 * when an earlier run has chosen another recovery point than the wanted one, or a quarantined one is wanted that is not named.
 */
export async function planFailover(request: FailoverPlanRequest): Promise<FailoverPlan | ResumePlan> {
  const { althoughQuarantined, clock, recoveryPoint, region, repository } = request;
  if (althoughQuarantined && recoveryPoint === undefined) {
    throw new DrError("USAGE", "a quarantined recovery point is served from only by its id", {
      hint: "name it with --recovery-point; `qdrant-dr recovery-points list` shows it, and why it is quarantined",
    });
  }
  const start = startOf(clock);
  const newest = requireEpoch(region.region, await readEpochs(repository.stores.control));
  if (newest.active === region.region) {
    const resumed = await planResume(request, newest, { ...start, stepsDown: false });
    refuseOtherChoice(resumed, recoveryPoint);
    return resumed;
  }
  const serveFrom = await chooseState(request, newest);
  const loss = dataLoss(serveFrom, clock.now());
  return { kind: "failover", ...promotion(region, newest, start), serveFrom, ...loss };
}

function startOf(clock: Clock): PlanningStart {
  return { plannedAt: clock.now(), plannedAtMs: clock.monotonic() };
}

function refuseOtherChoice({ epoch, serveFrom }: ResumePlan, wanted: string | undefined): void {
  const chosen = serveFrom.recoveryPoint.id;
  if (wanted === undefined || wanted === chosen) return;
  throw new DrError("USAGE", `an earlier run has claimed epoch ${epoch} to serve from ${chosen}, not from ${wanted}`, {
    hint: "repeat without --recovery-point: the run is gone on with as it was begun",
  });
}

/** Serves from the state that the earlier run has chosen, and may have begun to restore. */
async function planResume(
  { region, repository }: PlanRequest,
  newest: EpochRecord,
  { plannedAt, plannedAtMs, stepsDown }: PlanningStart & Pick<ResumePlan, "stepsDown">,
): Promise<ResumePlan> {
  const { epoch, reason: mode, recoveryPoint: id } = newest;
  if ((mode !== "switchover" && mode !== "failover") || id === undefined) {
    throw new DrError("ROLE_REFUSES", `${region.region} is the active region already (epoch ${epoch})`, {
      hint: "fail over to the other region, or look at `qdrant-dr status`",
    });
  }
  const { control } = repository.stores;
  const recoveryPoint = await repository.readRecoveryPoint(id);
  const from = newest.previous ?? peerOf(region);
  const followed =
    mode === "failover" ? await followedJournal(repository, { region: from, epoch: epoch - 1 }, plannedAt) : undefined;
  const serveFrom: ServableState = {
    ...(followed?.recoveryPoint.id === id ? followed : { recoveryPoint, ...fromBucket(recoveryPoint) }),
    asOf: new Date(newest.asOf ?? recoveryPoint.time),
  };
  const loss =
    mode === "switchover" ? { dataLossSeconds: 0, dataLossSecondsOf: {} } : dataLoss(serveFrom, new Date(newest.at));
  return {
    kind: "resume",
    mode,
    region: region.region,
    from,
    epoch,
    gateMode: region.gate?.mode,
    plannedAt,
    plannedAtMs,
    serveFrom,
    ...loss,
    stepsDown,
    hasEnded: await isStepDone(control, epoch, lastSteps[mode]),
  };
}

function promotion(region: Region, { active, epoch }: EpochRecord, start: PlanningStart): Promotion {
  return { region: region.region, from: active, epoch: epoch + 1, gateMode: region.gate?.mode, ...start };
}

/** By the epoch that changed the active region last: aborted switchovers since have changed nothing. */
function pastOf(region: string, epochs: readonly EpochRecord[]): SwitchoverPlan["past"] {
  const last = newestEpoch(epochs.filter(({ reason }) => reason !== "aborted"));
  if (last?.previous !== region || last.active === region) return "none";
  return last.reason === "failover" ? "diverged" : "replaceable";
}

function dataLoss(serveFrom: ServableState, until: Date): DataLoss {
  const since = (asOf: number) => Math.max(0, (until.getTime() - asOf) / 1000);
  const asOf = serveFrom.asOf.getTime();
  // A later capture that finds no change updates only the standby's `asOf`, not the times of the collections.
  const lossOf = (captured: CapturedCollection) => {
    const at = capturedAt(captured);
    return since(Math.max(asOf, (at && believedTime(at, { now: until }))?.getTime() ?? 0));
  };
  const { collections } = serveFrom.recoveryPoint;
  return {
    dataLossSeconds: since(asOf),
    dataLossSecondsOf: Object.fromEntries(collections.map((captured) => [captured.name, lossOf(captured)])),
  };
}

function requireEpoch(region: string, epochs: readonly EpochRecord[]): EpochRecord {
  const newest = newestEpoch(epochs);
  if (newest !== undefined) return newest;
  throw new DrError("ROLE_UNKNOWN", `the control store of ${region} holds no epoch`, {
    hint: "it is not the store of this estate, or it was emptied",
  });
}

/** What the region's Qdrant holds, where it follows; what is in the bucket otherwise. */
async function chooseState(request: FailoverPlanRequest, newest: EpochRecord): Promise<ServableState> {
  const { clock, recoveryPoint: wanted, repository } = request;
  if (wanted !== undefined) return chooseRecoveryPoint(request);
  const now = clock.now();
  const followed = await followedJournal(repository, { region: newest.active, epoch: newest.epoch }, now);
  if (followed !== undefined) {
    // The journal since does not mend what it began from, and is in the same Qdrant.
    if (await isQuarantined(repository, followed.recoveryPoint.id)) return chooseRecoveryPoint(request);
    return unlessOlder(repository, followed, followed.until, now);
  }
  const state = await followedState(request, newest);
  if (state === undefined) return chooseRecoveryPoint(request);
  const warm = { ...(await heldState(repository, state, now)), isWarm: true };
  return unlessOlder(repository, warm, state.followedAt ?? state.asOf, now);
}

/**
 * A standby that follows is newer than any recovery point that came otherwise; a standby that stopped may not be. It stopped
 * when the capture began that it holds, or with the journal: collections of slower tiers are older than that by right.
 */
async function unlessOlder(
  repository: OpenRepository,
  held: ServableState,
  followedAt: string,
  now: Date,
): Promise<ServableState> {
  if (isWithin(followsWithinMs, followedAt, now)) return held;
  const { newest: other } = await readNewestRecoveryPoint(repository, now, { mostQuestions: fewQuestions });
  if (other === undefined) return held;
  const hasTimes = other.doubt === undefined && believedTime(followedAt, { now }) !== undefined;
  const isSince = hasTimes
    ? Date.parse(other.recoveryPoint.startedAt) > Date.parse(followedAt)
    : compareAge(other, { id: held.recoveryPoint.id }) > 0;
  return isSince ? servedFromBucket(other) : held;
}

/** What the region's Qdrant holds when all of the journal is applied; undefined when it did not follow the journal in this epoch. */
async function followedJournal(
  repository: OpenRepository,
  active: Pick<FollowedState, "region" | "epoch">,
  now: Date,
): Promise<(ServableState & { readonly until: string }) | undefined> {
  const followed = await readFollowedStandby(repository.stores.control, active, now);
  if (followed === undefined) return undefined;
  const recoveryPoint = await unlessMissing(repository.readRecoveryPoint(followed.recoveryPoint));
  // Without its facts nothing tells of it: then what is in the bucket is served.
  if (recoveryPoint === undefined) return undefined;
  const until = (await timeOfNewest(repository, followed)) ?? followed.asOf;
  const doubt = doubtOf("what the standby followed of the journal", until, { now });
  const asOf = believedTime(until, { now }) ?? believedTime(recoveryPoint.time, { now }) ?? never;
  const absent = followed.unreconciled.map(({ collection }) => collection);
  return { recoveryPoint, asOf, doubt, isWarm: true, absent, followed, until };
}

/** What is in the store is applied before the region serves. */
async function timeOfNewest(
  repository: OpenRepository,
  { position, region }: FollowedState,
): Promise<string | undefined> {
  const store = repository.history.stores.repository;
  const newest = await newestPosition(store, region);
  return newest.number <= position.number ? undefined : (await findObject(store, region, newest.number))?.header.at;
}

/** The state that the region's Qdrant holds: replication makes no recovery point while nothing changes, and says that it looked. */
async function heldState(
  repository: OpenRepository,
  state: StandbyState,
  now: Date,
): Promise<Omit<ServableState, "isWarm">> {
  const recoveryPoint = await repository.readRecoveryPoint(state.recoveryPoint);
  const doubt = doubtOf(`what the standby holds (${recoveryPoint.id})`, state.asOf, { now });
  const asOf = believedTime(state.asOf, { now }) ?? believedTime(recoveryPoint.time, { now }) ?? never;
  const held = new Set(state.collections.map(({ name }) => name));
  const absent = lackedCollections(recoveryPoint).filter((name) => !held.has(name));
  return { recoveryPoint, asOf, doubt, absent };
}

function servedFromBucket({
  asOf,
  doubt,
  recoveryPoint,
}: BelievedAge & Pick<RestorableEntry, "recoveryPoint">): ServableState {
  return { recoveryPoint, asOf, doubt, ...fromBucket(recoveryPoint) };
}

async function followedState(
  { clock, repository }: PlanRequest,
  newest: EpochRecord,
): Promise<StandbyState | undefined> {
  const state = await readStandbyState(repository.stores.control, clock.now());
  // What was captured in another epoch is of a past that may have ended otherwise.
  if (state === undefined || state.epoch !== newest.epoch || state.region !== newest.active) return undefined;
  return (await isQuarantined(repository, state.recoveryPoint)) ? undefined : state;
}

async function chooseRecoveryPoint({
  althoughQuarantined,
  clock,
  recoveryPoint: wanted,
  region,
  repository,
}: FailoverPlanRequest): Promise<ServableState> {
  const now = clock.now();
  const named = wanted === undefined ? undefined : await readEntry(repository, wanted);
  if (named?.state === "quarantined" && !althoughQuarantined) {
    throw new DrError(
      "RECOVERY_POINT_INCOMPLETE",
      `${named.id} is quarantined: ${named.reasons.slice(0, 3).join("; ")}`,
      {
        hint: "use another recovery point; --although-quarantined serves from it all the same",
      },
    );
  }
  const entry =
    wanted === undefined
      ? (await readNewestRecoveryPoint(repository, now)).newest
      : believedEntry(named, now, althoughQuarantined);
  if (entry === undefined) {
    const what = wanted === undefined ? "no complete recovery point is" : `no complete recovery point ${wanted} is`;
    throw new DrError("RECOVERY_POINT_NOT_FOUND", `${what} in the bucket of ${region.region}`, {
      hint: "`qdrant-dr recovery-points list` shows what is there, and what each recovery point lacks",
    });
  }
  return servedFromBucket(entry);
}

function fromBucket(recoveryPoint: RecoveryPoint): Pick<ServableState, "absent" | "isWarm"> {
  return { isWarm: false, absent: lackedCollections(recoveryPoint) };
}

function believedEntry(
  entry: CatalogEntry | undefined,
  now: Date,
  althoughQuarantined: boolean | undefined,
): (RestorableEntry & BelievedAge) | undefined {
  if (entry === undefined || !isRestoredByName(entry, althoughQuarantined)) return undefined;
  const { recoveryPoint, storedAt } = entry;
  const asOf = believedTime(recoveryPoint.time, { now, storedAt }) ?? never;
  return { ...entry, asOf, doubt: doubtIn(entry, now) };
}
