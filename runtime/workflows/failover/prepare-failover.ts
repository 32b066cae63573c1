/** From the sessions of the two regions to what a failover or a switchover acts on. */
import { randomUUID } from "node:crypto";
import { withTimeout } from "../../async/with-timeout.ts";
import { newestEpoch } from "../../domain/roles/epoch.ts";
import { toDrError } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { FailoverHooks } from "../../ports/failover-hooks.ts";
import type { ObjectStore } from "../../ports/object-store.ts";
import type { Progress } from "../../ports/progress.ts";
import type { Runner } from "../../ports/runner.ts";
import type { Stacks } from "../../ports/stacks.ts";
import { readEpochs } from "../../repository/control/epochs.ts";
import type { OpenRepository } from "../../repository/repository.ts";
import type { RegionSession } from "../region-session.ts";
import { Replication } from "../replicate/replication.ts";
import type { FailoverRequest, HandOver } from "./request.ts";

/** What every change of roles acts with. */
export interface RoleChange {
  /** Stack and session of the region that is promoted. */
  readonly stack: string;
  readonly session: RegionSession;
  readonly stacks: Stacks;
  readonly hooks: FailoverHooks | undefined;
  readonly runner: Runner;
  readonly toolVersion: string;
  readonly clock: Clock;
  readonly progress: Progress;
}

/** How long the lost region is asked: each second of it is one without service. */
const lostRegionAnswersWithinMs = 5_000;
/** And none of its servers for longer than this. */
const lostServerAnswersWithinMs = 2_000;

/** @param active the region that hands over. */
export async function prepareSwitchover(change: RoleChange, active: RegionSession): Promise<FailoverRequest> {
  const repository = await change.session.repositoryForWriting();
  const handOver = await handOverBy(change, repository, active);
  return { ...common(change, repository), handOver, otherControl: handOver.control, acceptedDataLossSeconds: 0 };
}

export interface FailoverChoice {
  /** Another recovery point than the newest. */
  readonly recoveryPoint: string | undefined;
  readonly acceptedDataLossSeconds: number;
  /** Opens the region that is given up; undefined when nothing here tells where it is. */
  readonly openLost: (() => Promise<RegionSession>) | undefined;
}

export async function prepareFailover(
  change: RoleChange,
  { acceptedDataLossSeconds, openLost, recoveryPoint }: FailoverChoice,
): Promise<FailoverRequest> {
  const { session } = change;
  return {
    ...common(change, await session.repository()),
    recoveryPoint,
    witness: session.witness(),
    otherControl: openLost && (await reachLost(openLost, session.region.peer, change.progress)),
    acceptedDataLossSeconds,
  };
}

function common({ clock, hooks, progress, runner, session, stack, stacks }: RoleChange, repository: OpenRepository) {
  return {
    stack,
    region: session.region,
    repository,
    database: session.database,
    gate: session.gate(),
    traffic: session.region.endpoint && session.traffic(),
    stacks,
    hooks,
    run: randomUUID(),
    runner,
    clock,
    progress,
  };
}

async function handOverBy(
  { clock, progress, session, toolVersion }: RoleChange,
  repository: OpenRepository,
  active: RegionSession,
): Promise<HandOver> {
  const newest = newestEpoch(await readEpochs(repository.stores.control));
  // Its own past: it was active until it was given up.
  const wasActive = newest?.previous === session.region.region && newest.active !== session.region.region;
  const replication = new Replication({
    source: { region: active.region.region, database: active.database, control: active.stores.control },
    standby: { region: session.region.region, database: session.database, repository },
    existing: wasActive ? "replace" : "refuse",
    isSwitchover: true,
    toolVersion,
    clock,
    progress,
  });
  return {
    region: active.region.region,
    database: active.database,
    control: active.stores.control,
    gate: active.gate(),
    isSuperseding: wasActive && newest?.reason === "failover",
    async cycle({ patience }) {
      const { applySeconds, captureSeconds, ...report } = await replication.cycle(patience);
      return { ...report, seconds: captureSeconds + applySeconds };
    },
  };
}

/** The lost region's outputs may be in a backend that still answers, or that hangs; its store most likely does not. */
async function reachLost(
  open: () => Promise<RegionSession>,
  peer: string,
  progress: Progress,
): Promise<ObjectStore | undefined> {
  try {
    const lost = await withTimeout(lostRegionAnswersWithinMs, `the state backend of ${peer}`, open);
    return lost.withPatience(lostServerAnswersWithinMs).stores.control;
  } catch (error) {
    progress({ step: "assess", detail: `the other region cannot be told: ${toDrError(error).message}` });
    return undefined;
  }
}
