/** Says what a failover or a switchover would do and cost, and what stands in its way. Changes nothing. */

import { predictedFailoverSeconds } from "../../domain/recovery-points/restore-estimate.ts";
import { leaseEndsAfter } from "../../domain/roles/gate.ts";
import { type DrError, hasCode, toDrError } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { VectorDatabase } from "../../ports/qdrant.ts";
import type { OpenRepository } from "../../repository/repository.ts";
import { estimateRestore } from "../apply/estimate-restore.ts";
import type { RegionSession } from "../region-session.ts";
import type { PairMember } from "../status/observe-pair.ts";
import { memberOf } from "../status/pair-member.ts";
import { type Blocker, findBlockers } from "./find-blockers.ts";
import {
  type FailoverPlan,
  planFailover,
  planSwitchover,
  type ResumePlan,
  type RoleChangePlan,
  type ServableState,
  type SwitchoverPlan,
} from "./plan-failover.ts";

interface Target {
  /** The region that would be promoted. */
  readonly session: RegionSession;
  readonly clock: Clock;
}

export type ForecastRequest =
  | (Target & {
      readonly kind: "failover";
      /** Another recovery point than the newest. */
      readonly recoveryPoint?: string | undefined;
      readonly althoughQuarantined?: boolean | undefined;
    })
  | (Target & {
      readonly kind: "switchover";
      /** Looks at the region that would step down. */
      readonly observeActive: () => Promise<PairMember>;
    });

/** The cost of serving from the state that the region holds. */
export interface ServingForecast extends ServableState {
  /** Collections that the region's Qdrant lacks: they are restored. */
  readonly lacking: readonly string[];
  readonly bytes: number;
  readonly restoreSeconds: number;
  /** Of how many of the region's own restores that is predicted. */
  readonly calibratedBy: number;
  /** How long the lease of the other region may take to run out. */
  readonly leaseSeconds: number;
  readonly predictedSeconds: number;
}

export type Forecast =
  /** An earlier run did all there is to do. */
  | { readonly kind: "ended"; readonly plan: ResumePlan }
  /** Nothing can be planned. */
  | { readonly kind: "impossible"; readonly reason: DrError; readonly blockers: readonly Blocker[] }
  /** The last writes of the active region are brought over first. */
  | { readonly kind: "switchover"; readonly plan: SwitchoverPlan; readonly blockers: readonly Blocker[] }
  | {
      readonly kind: "serve";
      readonly plan: FailoverPlan | ResumePlan;
      readonly serving: ServingForecast;
      readonly blockers: readonly Blocker[];
    };

/** Throws ROLE_REFUSES or ROLE_UNKNOWN when the region cannot be promoted whatever else is true. */
export async function forecastRoleChange(request: ForecastRequest): Promise<Forecast> {
  const { session } = request;
  let repository: OpenRepository;
  let plan: RoleChangePlan;
  try {
    repository = (await session.repository()).withStream();
    plan = await planBy(request, repository);
  } catch (error) {
    const reason = toDrError(error);
    if (hasCode(reason, "ROLE_REFUSES", "ROLE_UNKNOWN")) throw reason;
    return { kind: "impossible", reason, blockers: await blockersOf(request, { isResumed: false }) };
  }
  if (plan.kind === "resume" && plan.hasEnded) return { kind: "ended", plan };
  const blockers = await blockersOf(request, { isResumed: plan.kind === "resume" });
  if (plan.kind === "switchover") return { kind: "switchover", plan, blockers };
  const serving = await forecastServing(session, repository, plan.serveFrom);
  return { kind: "serve", plan, serving, blockers };
}

function planBy(request: ForecastRequest, repository: OpenRepository): Promise<RoleChangePlan> {
  const { clock, kind, session } = request;
  const about = { region: session.region, repository, clock };
  if (kind === "switchover") return planSwitchover(about);
  return planFailover({ ...about, recoveryPoint: request.recoveryPoint });
}

async function blockersOf(
  request: ForecastRequest,
  { isResumed }: { readonly isResumed: boolean },
): Promise<readonly Blocker[]> {
  const { clock, session } = request;
  return findBlockers({
    target: memberOf(session),
    active: request.kind === "switchover" ? await request.observeActive() : undefined,
    isResumed,
    clock,
  });
}

async function forecastServing(
  { database, region }: RegionSession,
  repository: OpenRepository,
  state: ServableState,
): Promise<ServingForecast> {
  const present = state.isWarm ? await presentIn(database) : new Set();
  const lacking = state.recoveryPoint.collections.filter(({ name }) => !present.has(name));
  const collections = lacking.map((captured) => ({ captured, name: captured.name }));
  const estimate = await estimateRestore(repository, { collections });
  const { bytes, calibratedBy, predictedSeconds: restoreSeconds } = estimate;
  const { gate } = region;
  const leaseSeconds = gate?.mode === "consistency" && gate.lease ? leaseEndsAfter(gate.lease.seconds) : 0;
  const predictedSeconds = predictedFailoverSeconds({ restoreSeconds, leaseSeconds });
  const cost = { bytes, restoreSeconds, calibratedBy, leaseSeconds, predictedSeconds };
  return { ...state, lacking: lacking.map(({ name }) => name), ...cost };
}

/** None when Qdrant does not answer: then everything has to be brought there. */
async function presentIn(database: VectorDatabase): Promise<ReadonlySet<string>> {
  return new Set(await database.collections().catch(() => []));
}
