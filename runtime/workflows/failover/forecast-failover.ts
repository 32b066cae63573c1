/** What a failover or a switchover would do, cost and meet. Changes nothing. */

import { predictedFailoverSeconds } from "../../domain/recovery-points/restore-estimate.ts";
import { leaseEndsAfter } from "../../domain/roles/gate.ts";
import { type DrError, hasCode, toDrError } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { VectorDatabase } from "../../ports/qdrant.ts";
import type { OpenRepository } from "../../repository/repository.ts";
import { estimateRestore } from "../apply/estimate-restore.ts";
import type { RegionSession } from "../region-session.ts";
import type { PairMember } from "../status/observe-pair.ts";
import { memberOf, type OutputsOrigin } from "../status/pair-member.ts";
import { type Blocker, findBlockers } from "./find-blockers.ts";
import { type FailoverPlan, planFailover, type ServableState } from "./plan-failover.ts";

export interface ForecastRequest {
  /** The region that would be promoted. */
  readonly session: RegionSession;
  readonly origin: OutputsOrigin;
  /** Looks at the region that would hand over; undefined for a failover, which asks nothing of it. */
  readonly observeActive: (() => Promise<PairMember>) | undefined;
  /** Another recovery point than the newest. */
  readonly recoveryPoint?: string | undefined;
  readonly clock: Clock;
}

/** What it takes to serve from the state that the region holds. */
export interface ServingForecast extends ServableState {
  /** Collections that the region's Qdrant lacks: they are restored. */
  readonly lacking: readonly string[];
  readonly bytes: number;
  readonly restoreSeconds: number;
  /** How long the lease of the other region may take to run out. */
  readonly leaseSeconds: number;
  readonly predictedSeconds: number;
}

export type FailoverForecast =
  /** An earlier run did all there is to do. */
  | { readonly kind: "ended"; readonly plan: FailoverPlan }
  /** Nothing can be planned. */
  | { readonly kind: "impossible"; readonly reason: DrError; readonly obstacles: readonly Blocker[] }
  /** The last writes of the active region are brought over first. */
  | { readonly kind: "handOver"; readonly plan: FailoverPlan; readonly obstacles: readonly Blocker[] }
  | {
      readonly kind: "serve";
      readonly plan: FailoverPlan;
      readonly serving: ServingForecast;
      readonly obstacles: readonly Blocker[];
    };

/** Throws ROLE_REFUSES or ROLE_UNKNOWN when the region cannot be promoted whatever else is true. */
export async function forecastFailover(request: ForecastRequest): Promise<FailoverForecast> {
  const { clock, observeActive, origin, session } = request;
  const obstacles = async (continues: boolean) =>
    findBlockers({ target: memberOf(session, origin), active: await observeActive?.(), continues, clock });
  let repository: OpenRepository;
  let plan: FailoverPlan;
  try {
    repository = await session.repository();
    plan = await planFailover({
      region: session.region,
      repository,
      isPlanned: observeActive !== undefined,
      recoveryPoint: request.recoveryPoint,
      clock,
    });
  } catch (error) {
    const reason = toDrError(error);
    if (hasCode(reason, "ROLE_REFUSES", "ROLE_UNKNOWN")) throw reason;
    return { kind: "impossible", reason, obstacles: await obstacles(false) };
  }
  if (plan.hasEnded) return { kind: "ended", plan };
  const inTheWay = await obstacles(plan.continues);
  if (plan.held === undefined) return { kind: "handOver", plan, obstacles: inTheWay };
  const serving = await forecastServing(session, repository, plan.held);
  return { kind: "serve", plan, serving, obstacles: inTheWay };
}

async function forecastServing(
  { database, region }: RegionSession,
  repository: OpenRepository,
  held: ServableState,
): Promise<ServingForecast> {
  const present = held.isWarm ? await presentIn(database) : new Set();
  const lacking = held.recoveryPoint.collections.filter(({ name }) => !present.has(name));
  const collections = lacking.map((captured) => ({ captured, name: captured.name }));
  const estimate = await estimateRestore(repository, { collections });
  const { bytes, predictedSeconds: restoreSeconds } = estimate;
  const { gate } = region;
  const leaseSeconds = gate?.mode === "consistency" && gate.lease ? leaseEndsAfter(gate.lease.seconds) : 0;
  const predictedSeconds = predictedFailoverSeconds({ restoreSeconds, leaseSeconds });
  return { ...held, lacking: lacking.map(({ name }) => name), bytes, restoreSeconds, leaseSeconds, predictedSeconds };
}

/** None when it does not answer: then everything has to be brought there. */
async function presentIn(database: VectorDatabase): Promise<ReadonlySet<string>> {
  return new Set(await database.collections().catch(() => []));
}
