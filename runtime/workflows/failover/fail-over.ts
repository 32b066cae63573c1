/**
 * Makes a region the active one: epoch, data, gate, traffic, and then the stack, which converges to what is already true. A
 * failover after the loss of the other region, a switchover while both live. Both do what the plan says, step by step; a run
 * can be killed at any instant, and a later run goes on with it.
 */
import { formatSeconds } from "../../domain/format.ts";
import { missingFrom, missingInWords } from "../../domain/recovery-points/missing.ts";
import { isExact } from "../../domain/recovery-points/recovery-point.ts";
import type { TimedStep } from "../../domain/timed-step.ts";
import { DrError } from "../../errors.ts";
import { epochsAfter } from "../../repository/control/epochs.ts";
import { Replication } from "../replicate/replication.ts";
import { abortAfter } from "./abort-switchover.ts";
import { checkServedState } from "./apply-served-state.ts";
import { FailoverRun } from "./failover-run.ts";
import { Findings } from "./findings.ts";
import {
  type FailoverPlan,
  type Mode,
  modeOf,
  type ResumePlan,
  type RoleChangePlan,
  type ServableState,
  type SwitchoverPlan,
} from "./plan-failover.ts";
import type { FailoverRequest, RoleChangeRequest, SwitchoverRequest } from "./request.ts";
import type { FolderLeft } from "./restore-declared-folders.ts";
import { failoverSteps, switchoverSteps } from "./step-lists.ts";
import { requireGate, silentReplica } from "./steps/drain.ts";

/** The region may have been lost at any time since its newest state: while a person decides, the possible loss grows. */
const secondsToDecide = 300;

export interface RoleChangeReport {
  readonly region: string;
  /** The region that was active before. */
  readonly from: string;
  readonly epoch: number;
  readonly mode: Mode;
  readonly run: string;
  readonly recoveryPoint: string;
  readonly recoveryPointTime: string;
  /** Writes acknowledged in so many seconds may be lost. */
  readonly dataLossSeconds: number;
  readonly isExact: boolean;
  readonly isWarm: boolean;
  /** Collections that the other region had, that no capture could read, and that are not here. */
  readonly absent: readonly string[];
  readonly points: number;
  /** A step compared the region with what the source answered, in this run or in the one that it resumed. */
  readonly isVerified: boolean;
  /** Folders that the region declares and does not have, and why. */
  readonly foldersLeft: readonly FolderLeft[];
  /** Seconds from the fence of a switchover until the gate of this region was open; absent when another run wrote the fence. */
  readonly pauseSeconds?: number | undefined;
  readonly steps: readonly TimedStep[];
  readonly startedAt: string;
  readonly seconds: number;
}

export async function switchOver(
  request: SwitchoverRequest,
  plan: SwitchoverPlan | ResumePlan,
): Promise<RoleChangeReport> {
  if (plan.kind === "resume") return changeRoles(request, plan, doFailoverSteps(request, plan));
  await refuseWhatWouldStopItFenced(request);
  return changeRoles(request, plan, async (run, findings) => {
    const context = { request, plan, findings, replication: replicationOf(request, plan) };
    await run.all(switchoverSteps.serving, context);
    try {
      await run.all(switchoverSteps.fenced, context);
    } catch (error) {
      throw await abortAfter(error, context);
    }
    await run.all(switchoverSteps.claimed, context);
  });
}

export async function failOver(request: FailoverRequest, plan: FailoverPlan | ResumePlan): Promise<RoleChangeReport> {
  if (plan.kind === "failover") {
    refuseUnacceptedLoss(request, plan);
    await refuseWhatWouldStopItLater(request, plan);
  }
  return changeRoles(request, plan, doFailoverSteps(request, plan));
}

type DoSteps = (run: FailoverRun, findings: Findings) => Promise<void>;

function doFailoverSteps(request: RoleChangeRequest, plan: FailoverPlan | ResumePlan): DoSteps {
  return (run, findings) => run.all(failoverSteps, { request, plan, findings });
}

/** Only the run that owns the role change acts. */
async function changeRoles(
  request: RoleChangeRequest,
  plan: RoleChangePlan,
  doSteps: DoSteps,
): Promise<RoleChangeReport> {
  const run = new FailoverRun({ ...request, control: request.repository.stores.control }, plan);
  run.assessed(summarise(plan));
  const findings = new Findings(plan);
  const stopBeating = await run.records.takeOver();
  try {
    await refuseStalePlan(request, plan);
    await doSteps(run, findings);
    return await report(request, plan, { run, findings });
  } finally {
    stopBeating();
  }
}

function summarise(plan: RoleChangePlan): string {
  if (plan.kind === "switchover") return `from ${plan.from}, with nothing lost`;
  return `${plan.serveFrom.recoveryPoint.id}: ${lossOf(plan)}`;
}

function lossOf({ dataLossSeconds }: FailoverPlan | ResumePlan): string {
  return `${formatSeconds(dataLossSeconds)} of writes may be lost`;
}

function refuseUnacceptedLoss(request: FailoverRequest, plan: FailoverPlan): void {
  const { acceptedAbsent = [], acceptedDataLossSeconds } = request;
  const { absent, recoveryPoint } = plan.serveFrom;
  const unaccepted = absent.filter((name) => !acceptedAbsent.includes(name));
  if (unaccepted.length > 0) {
    const told = missingFrom(recoveryPoint)
      .filter(({ name }) => unaccepted.includes(name))
      .map(missingInWords)
      .concat(unreconciledInWords(plan.serveFrom, unaccepted));
    throw new DrError("DATA_LOSS_NOT_ACCEPTED", `${recoveryPoint.id} is partial: ${told.join("; ")}`, {
      hint: `serve from an older recovery point that holds them (--recovery-point), or repeat with --accept-absent ${absent.join(",")} and restore them afterwards from an older one`,
    });
  }
  if (plan.dataLossSeconds <= acceptedDataLossSeconds) return;
  throw new DrError("DATA_LOSS_NOT_ACCEPTED", `${lossOf(plan)}, and ${acceptedDataLossSeconds} s are accepted`, {
    hint: `repeat with --accept-data-loss ${Math.ceil(plan.dataLossSeconds) + secondsToDecide} if that is better than waiting: the loss counts up to the moment of the command`,
  });
}

/** The journal does not tell what these are now, and no capture has brought them since. */
function unreconciledInWords({ followed }: ServableState, names: readonly string[]): string[] {
  const unreconciled = followed?.unreconciled.filter(({ collection }) => names.includes(collection)) ?? [];
  return unreconciled.map(({ collection, reason }) => `${collection} is older than the rest here: ${reason}`);
}

/** Whatever would stop it later must stop it before the epoch is claimed and the other region learns of it. */
async function refuseWhatWouldStopItLater(request: FailoverRequest, plan: FailoverPlan): Promise<void> {
  const { repository } = request;
  if (plan.serveFrom.followed === undefined) await checkServedState(request, plan, plan.serveFrom);
  for (const { key } of plan.serveFrom.recoveryPoint.collections) await repository.keys.key(key);
  await askWhatLeadsClients(request);
}

/** Whatever would stop it later must stop it before the fence: after the epoch there is no way back, and no region serves. */
async function refuseWhatWouldStopItFenced(request: SwitchoverRequest): Promise<void> {
  const { gate, region } = request.active;
  const silent = silentReplica(await requireGate(gate, region).look(), region);
  if (silent !== undefined) throw silent;
  await askWhatLeadsClients(request);
}

async function askWhatLeadsClients({ gate, traffic }: RoleChangeRequest): Promise<void> {
  await traffic?.current();
  await gate?.look();
}

/** The epoch that the plan was made from must be the newest still. Asked by the owner: from here on nobody else makes one here. */
async function refuseStalePlan({ repository }: RoleChangeRequest, plan: RoleChangePlan): Promise<void> {
  const known = plan.kind === "resume" ? plan.epoch : plan.epoch - 1;
  const [later] = await epochsAfter(repository.stores.control, known);
  if (later === undefined) return;
  const { active, epoch, reason, run } = later;
  throw new DrError("EPOCH_CONFLICT", `another run (${run}) claimed epoch ${epoch} first: ${active}, ${reason}`, {
    hint: "run it again: it plans anew; `qdrant-dr status` shows the roles",
  });
}

function replicationOf(
  { active, clock, database, progress, repository, toolVersion }: SwitchoverRequest,
  { past, region }: SwitchoverPlan,
): Replication {
  return new Replication({
    source: { region: active.region, database: active.database, control: active.control },
    standby: { region, database, repository },
    existing: past === "none" ? "refuse" : "replace",
    isSwitchover: true,
    toolVersion,
    clock,
    progress,
  });
}

async function report(
  { database, run: id }: RoleChangeRequest,
  plan: RoleChangePlan,
  { findings, run }: { readonly findings: Findings; readonly run: FailoverRun },
): Promise<RoleChangeReport> {
  const { absent, isWarm, recoveryPoint } = findings.serveFrom;
  // Once the gate is open, clients may delete a collection.
  const present = new Set(await database.collections());
  const counted = recoveryPoint.collections.filter(({ name }) => present.has(name));
  const counts = await Promise.all(counted.map(({ name }) => database.count(name)));
  return {
    region: plan.region,
    from: plan.from,
    epoch: plan.epoch,
    mode: modeOf(plan),
    run: id,
    recoveryPoint: recoveryPoint.id,
    recoveryPointTime: recoveryPoint.time,
    dataLossSeconds: plan.kind === "switchover" ? 0 : plan.dataLossSeconds,
    isExact: isExact(recoveryPoint),
    isWarm,
    absent,
    points: counts.reduce((sum, count) => sum + count, 0),
    isVerified: findings.proof !== undefined || run.wasDoneBefore("verify"),
    pauseSeconds: findings.pauseSeconds,
    foldersLeft: findings.foldersLeft,
    steps: run.steps,
    startedAt: plan.plannedAt.toISOString(),
    seconds: run.seconds,
  };
}
