/** What a failover would do, from what, at which loss, and what stands in its way. Changes nothing. */
import type { CatalogEntry } from "../../domain/recovery-points/catalog.ts";
import {
  type CapturedCollection,
  capturedAt,
  type RecoveryPoint,
} from "../../domain/recovery-points/recovery-point.ts";
import type { Region } from "../../domain/region.ts";
import { type EpochRecord, newestEpoch } from "../../domain/roles/epoch.ts";
import type { GateMode } from "../../domain/roles/gate.ts";
import { DrError } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import { isQuarantined, readCatalog, readNewestRecoveryPoint } from "../../repository/catalog/read-catalog.ts";
import { readEpochs } from "../../repository/control/epochs.ts";
import { isStepDone } from "../../repository/control/failover-records.ts";
import { readStandbyState, type StandbyState } from "../../repository/control/standby-records.ts";
import type { OpenRepository } from "../../repository/repository.ts";

/** A standby whose state was captured longer ago is not followed any more. */
const followsWithinMs = 60_000;

/** What a failover does last, by what it was. */
const lastSteps = { initial: "", aborted: "", switchover: "step-down", failover: "promote" } as const;

export interface FailoverPlan {
  /** The region that is promoted, and the one that is active until then. */
  readonly region: string;
  readonly from: string;
  readonly epoch: number;
  /** What this region serves from; undefined when a switchover is going to bring it here. */
  readonly held: ServableState | undefined;
  /** Writes acknowledged in so many seconds may be lost; and by collection, of which some may have been captured later. */
  readonly dataLossSeconds: number;
  readonly dataLossSecondsOf: Readonly<Record<string, number>>;
  /** An earlier run made the epoch, and may not have ended. */
  readonly continues: boolean;
  /** It did all there is to do. */
  readonly hasEnded: boolean;
  readonly gateMode: GateMode | undefined;
}

export interface ServableState {
  readonly recoveryPoint: RecoveryPoint;
  /** Everything acknowledged before this is in it. */
  readonly asOf: Date;
  /** This region's Qdrant holds the recovery point already, as its replication recorded. */
  readonly isWarm: boolean;
}

export interface PlanRequest {
  readonly region: Region;
  readonly repository: OpenRepository;
  readonly isPlanned: boolean;
  /** Another recovery point than the newest: everything acknowledged after it is lost. */
  readonly recoveryPoint?: string | undefined;
  readonly clock: Clock;
}

/** Throws ROLE_UNKNOWN, ROLE_REFUSES or RECOVERY_POINT_NOT_FOUND when there is nothing to be planned. */
export async function planFailover(request: PlanRequest): Promise<FailoverPlan> {
  const { clock, isPlanned, region, repository } = request;
  const { control } = repository.stores;
  const newest = await readNewestEpoch(region.region, repository);
  const continues = newest.active === region.region;
  if (continues && newest.recoveryPoint === undefined) {
    throw new DrError("ROLE_REFUSES", `${region.region} is the active region already (epoch ${newest.epoch})`, {
      hint: "fail over to the other region, or look at `qdrant-dr status`",
    });
  }
  const plan = {
    region: region.region,
    from: continues ? (newest.previous ?? region.peer) : newest.active,
    epoch: continues ? newest.epoch : newest.epoch + 1,
    continues,
    hasEnded: continues && (await isStepDone(control, newest.epoch, lastSteps[newest.reason])),
    gateMode: region.gate?.mode,
  };
  const lossless = { dataLossSeconds: 0, dataLossSecondsOf: {} };
  if (isPlanned && !continues) return { ...plan, ...lossless, held: undefined };
  const held = continues ? await heldBy(repository, newest) : await chooseState(request, newest);
  if (newest.reason === "switchover" && continues) return { ...plan, ...lossless, held };
  const begun = continues ? Date.parse(newest.at) : clock.now().getTime();
  const lossSince = (asOf: number) => Math.max(0, (begun - asOf) / 1000);
  // What was found unchanged later is not written down collection by collection.
  const lossOf = (captured: CapturedCollection) =>
    lossSince(Math.max(held.asOf.getTime(), capturedAt(captured)?.getTime() ?? 0));
  return {
    ...{ ...plan, held, dataLossSeconds: lossSince(held.asOf.getTime()) },
    dataLossSecondsOf: Object.fromEntries(
      held.recoveryPoint.collections.map((captured) => [captured.name, lossOf(captured)]),
    ),
  };
}

async function readNewestEpoch(region: string, repository: OpenRepository): Promise<EpochRecord> {
  const newest = newestEpoch(await readEpochs(repository.stores.control));
  if (newest !== undefined) return newest;
  throw new DrError("ROLE_UNKNOWN", `the control store of ${region} holds no epoch`, {
    hint: "it is not the store of this estate, or it was emptied",
  });
}

/** What an earlier run has chosen, and may have begun to restore. */
async function heldBy(repository: OpenRepository, epoch: EpochRecord): Promise<ServableState> {
  const recoveryPoint = await repository.readRecoveryPoint(epoch.recoveryPoint ?? "");
  return { recoveryPoint, asOf: new Date(epoch.asOf ?? recoveryPoint.time), isWarm: false };
}

/**
 * A standby that follows is newer than any recovery point that came otherwise; one that stopped may not be. When it stopped tells the beginning of
 * the capture that it holds: collections of slower tiers are older than that by right.
 */
async function chooseState(request: PlanRequest, newest: EpochRecord): Promise<ServableState> {
  const { clock, recoveryPoint: wanted } = request;
  if (wanted !== undefined) return chooseRecoveryPoint(request);
  const state = await followedState(request, newest);
  if (state === undefined) return chooseRecoveryPoint(request);
  const { repository } = request;
  const warm = {
    recoveryPoint: await repository.readRecoveryPoint(state.recoveryPoint),
    asOf: new Date(state.asOf),
    isWarm: true,
  };
  const followedAt = Date.parse(state.followedAt ?? state.asOf);
  if (clock.now().getTime() - followedAt < followsWithinMs) return warm;
  const { newest: other } = await readNewestRecoveryPoint(repository);
  if (other === undefined || Date.parse(other.recoveryPoint.startedAt) <= followedAt) return warm;
  return { recoveryPoint: other.recoveryPoint, asOf: new Date(other.recoveryPoint.time), isWarm: false };
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

async function chooseRecoveryPoint({ recoveryPoint: wanted, region, repository }: PlanRequest): Promise<ServableState> {
  const entry =
    wanted === undefined
      ? (await readNewestRecoveryPoint(repository)).newest
      : findRecoveryPoint((await readCatalog(repository)).entries, wanted);
  if (entry?.recoveryPoint === undefined) {
    const what = wanted === undefined ? "no complete recovery point is" : `no complete recovery point ${wanted} is`;
    throw new DrError("RECOVERY_POINT_NOT_FOUND", `${what} in the bucket of ${region.region}`, {
      hint: "`qdrant-dr recovery-points list` shows what is there, and what each recovery point lacks",
    });
  }
  return { recoveryPoint: entry.recoveryPoint, asOf: new Date(entry.recoveryPoint.time), isWarm: false };
}

function findRecoveryPoint(entries: readonly CatalogEntry[], id: string): CatalogEntry | undefined {
  return entries.find((entry) => entry.id === id && entry.state === "complete");
}
