/**
 * Makes a region the active one: epoch, data, gate, traffic, and then the stack, which converges to what is already
 * true. A failover after the loss of the other region, a switchover while both live. Every step is recorded before and after
 * it, can be killed, and is gone on with by a later run.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { formatSeconds } from "../../domain/format.ts";
import { isExact } from "../../domain/recovery-points/recovery-point.ts";
import { leaseEndsAfter } from "../../domain/roles/gate.ts";
import { DrError } from "../../errors.ts";
import { readOpening, writeOpening } from "../../repository/control/gate-records.ts";
import { endLease } from "../../repository/control/lease.ts";
import { verifyApplied, wholeRecoveryPoint } from "../apply/verify-applied.ts";
import { applyToStandby } from "../replicate/apply-to-standby.ts";
import { enableOptimizers } from "../replicate/enable-optimizers.ts";
import { planStandby } from "../replicate/plan-standby.ts";
import { FailoverRun, type FailoverStep } from "./failover-run.ts";
import { handOver } from "./hand-over.ts";
import { type FailoverPlan, planFailover, type ServableState } from "./plan-failover.ts";
import type { FailoverRequest } from "./request.ts";
import { claimAndTell } from "./tell-regions.ts";

/** How long a gate may take to see what the records say; it looks when it is asked. */
const gateOpensWithinMs = 30_000;
const pollMs = 100;

export interface FailoverReport {
  readonly region: string;
  /** The region that was active before. */
  readonly from: string;
  readonly epoch: number;
  readonly mode: "switchover" | "failover";
  readonly run: string;
  readonly recoveryPoint: string;
  readonly recoveryPointTime: string;
  /** Seconds whose acknowledged writes may be lost. */
  readonly dataLossSeconds: number;
  readonly isExact: boolean;
  readonly isWarm: boolean;
  readonly points: number;
  readonly isVerified: boolean;
  /** Planned: seconds from the fence until the gate of this region was open. */
  readonly pauseSeconds?: number;
  readonly steps: readonly FailoverStep[];
  readonly startedAt: string;
  readonly seconds: number;
}

export async function failOver(request: FailoverRequest): Promise<FailoverReport> {
  const { clock, database, progress, region, repository, stack, stacks, traffic } = request;
  const { control } = repository.stores;
  const begun = clock.now();
  progress({ step: "assess", detail: "Find what this region can serve from" });
  const isPlanned = request.handOver !== undefined;
  const plan = await planFailover({ ...request, isPlanned });
  const loss = `${formatSeconds(plan.dataLossSeconds)} of writes may be lost`;
  if (!isPlanned && !plan.continues && plan.dataLossSeconds > request.acceptedDataLossSeconds) {
    throw new DrError("DATA_LOSS_NOT_ACCEPTED", `${loss}, and ${request.acceptedDataLossSeconds} s are accepted`, {
      hint: `repeat with --accept-data-loss ${Math.ceil(plan.dataLossSeconds)} if that is better than waiting`,
    });
  }
  if (!plan.continues) await refuseWhatWouldStopItLater(request, plan);

  const run = new FailoverRun({ ...request, control, region: region.region, epoch: plan.epoch }, begun);
  run.assessed(
    plan.held === undefined ? `from ${plan.from}, with nothing lost` : `${plan.held.recoveryPoint.id}: ${loss}`,
  );
  const stopBeating = await run.records.takeOver();
  try {
    const handed = plan.held === undefined ? await handOver(request, plan, run) : undefined;
    const held = handed ?? (plan.held as ServableState);
    if (handed === undefined) await run.step("epoch", () => claim(request, plan, held));
    let leaseEndsAt = 0;
    if (request.witness !== undefined && handed === undefined) {
      const { witness } = request;
      await run.step("lease", async () => {
        const seconds = await endLease(witness, plan.epoch - 1, region.region, clock);
        if (seconds === 0) return "it held none";
        leaseEndsAt = performance.now() + 1000 * leaseEndsAfter(seconds);
        return `ended; what it held runs out in ${formatSeconds(seconds)} at the latest`;
      });
    }
    await run.once("restore", async () => {
      if (handed !== undefined) return `${held.recoveryPoint.id}, brought here while ${plan.from} was closed`;
      // Clients may write here since: nothing may be brought over that.
      if ((await readOpening(control, plan.epoch)) !== undefined) return "opened by an earlier run";
      const { recoveryPoint } = held;
      const done = await applyToStandby({
        ...{
          repository,
          region: region.region,
          recoveryPoint,
          target: database,
          failover: plan.epoch,
          clock,
          progress,
        },
        asOf: held.asOf,
        // Nothing of another's was here when the epoch was claimed: what an earlier run left half-made is made again.
        existing: plan.continues ? "replace" : "refuse",
        compare: "changed",
      });
      const { difference, kept, whole } = done.shards;
      return `${done.collections} collections: ${kept} shards held it, ${difference} were brought to it, ${whole} restored whole`;
    });
    await run.once("verify", async () => {
      // Before the epoch was claimed, with the other region's gate closed.
      if (handed !== undefined) return "compared with the other region before it gave up";
      const { canaries, samples } = await verifyApplied(
        { clock, repository, target: database },
        wholeRecoveryPoint(held.recoveryPoint),
      );
      return `counts, ${samples} sampled points and ${canaries} canary queries are as captured`;
    });
    await run.step("open", async () => {
      await sleep(Math.max(0, leaseEndsAt - performance.now()));
      await enableOptimizers({ recoveryPoint: held.recoveryPoint, target: database });
      return open(request, plan.epoch, held.recoveryPoint.id);
    });
    const pauseSeconds = handed && (clock.now().getTime() - handed.fencedAt.getTime()) / 1000;
    await run.step("traffic", async () => {
      if (traffic === undefined)
        return "no public name to move: clients follow what their health checks of the gates say";
      await traffic.pointTo({ region: region.region, epoch: plan.epoch });
      const current = await traffic.current();
      if (current?.region === region.region) return `the endpoint leads to ${region.region}`;
      throw new DrError("EPOCH_CONFLICT", `the endpoint leads to ${current?.region}`);
    });
    // Clients are served from here on; the stacks follow, however long it takes.
    await run.once("promote", async () => {
      const { changes } = await stacks.up(stack, ({ text }) => progress({ step: "promote", detail: text }));
      const now = await stacks.region(stack);
      if (now.role !== "active" || now.epoch !== plan.epoch) {
        throw new DrError("PULUMI_FAILED", `after the update stack ${stack} is ${now.role} in epoch ${now.epoch}`);
      }
      return summarise(changes);
    });
    if (isPlanned) {
      await run.attempt("step-down", async () => {
        const { changes } = await stacks.up(plan.from, ({ text }) => progress({ step: "step-down", detail: text }));
        return summarise(changes);
      });
    }
    const counts = await Promise.all(held.recoveryPoint.collections.map(({ name }) => database.count(name)));
    return {
      region: region.region,
      from: plan.from,
      epoch: plan.epoch,
      mode: isPlanned ? "switchover" : "failover",
      run: request.run,
      recoveryPoint: held.recoveryPoint.id,
      recoveryPointTime: held.recoveryPoint.time,
      dataLossSeconds: plan.dataLossSeconds,
      isExact: isExact(held.recoveryPoint),
      isWarm: held.isWarm,
      points: counts.reduce((sum, count) => sum + count, 0),
      isVerified: true,
      ...(pauseSeconds === undefined ? {} : { pauseSeconds }),
      steps: run.steps,
      startedAt: begun.toISOString(),
      seconds: run.seconds,
    };
  } finally {
    stopBeating();
  }
}

/** Whatever would stop it later must stop it before the epoch is claimed and the other region is told. */
async function refuseWhatWouldStopItLater(request: FailoverRequest, { epoch, held }: FailoverPlan): Promise<void> {
  const { clock, database, gate, progress, region, repository, traffic } = request;
  if (held !== undefined) {
    const { recoveryPoint } = held;
    await planStandby({
      ...{ repository, region: region.region, recoveryPoint, target: database, failover: epoch, clock, progress },
      existing: "refuse",
      compare: "changed",
    });
    for (const { key } of recoveryPoint.collections) await repository.keys.key(key);
  }
  await traffic?.current();
  await gate?.look();
}

async function claim(
  request: FailoverRequest,
  { continues, epoch, from }: FailoverPlan,
  held: ServableState,
): Promise<string> {
  if (continues) return `epoch ${epoch} was claimed by an earlier run`;
  const { clock, otherControl, region, repository, run } = request;
  const { asOf, recoveryPoint } = held;
  const times = { asOf: asOf.toISOString(), at: clock.now().toISOString() };
  return claimAndTell(
    {
      epoch,
      active: region.region,
      previous: from,
      reason: "failover",
      run,
      recoveryPoint: recoveryPoint.id,
      ...times,
    },
    { control: repository.stores.control, otherControl },
  );
}

async function open(
  { clock, gate, region, repository, run }: FailoverRequest,
  epoch: number,
  recoveryPoint: string,
): Promise<string> {
  const at = clock.now().toISOString();
  await writeOpening(repository.stores.control, { epoch, region: region.region, run, recoveryPoint, at });
  if (gate === undefined) return "this region has no gate";
  const begun = performance.now();
  for (;;) {
    const { epoch: seen, isOpen, reason } = await gate.look();
    if (isOpen && seen === epoch) return `open in epoch ${epoch}`;
    if (performance.now() - begun > gateOpensWithinMs) {
      throw new DrError("UNREACHABLE", `the gate of ${region.region} stays closed: ${reason}`, {
        hint: "make its control store readable for it, then run this again",
      });
    }
    await sleep(pollMs);
  }
}

function summarise(changes: Readonly<Record<string, number>>): string {
  const parts = Object.entries(changes).filter(([, count]) => count > 0);
  return parts.map(([operation, count]) => `${count} ${operation}`).join(", ");
}
