/**
 * Makes the standby region the active one after the loss of the other: epoch, data, traffic, and then the stack, which
 * converges to what is already true. Every step is probed before it is done, recorded before and after, and can be gone
 * on with by a later run.
 */

import { type EpochRecord, newestEpoch } from "../../domain/estate/epoch.ts";
import type { Region } from "../../domain/estate/region.ts";
import { formatCount, formatSeconds } from "../../domain/format.ts";
import { type CatalogEntry, resolveLatestRestorable } from "../../domain/points/catalog.ts";
import type { RecoveryPoint } from "../../domain/points/recovery-point.ts";
import { DrError, toDrError } from "../../errors.ts";
import type { Clock, ObjectStore, Progress, Stacks, TrafficControl, VectorDatabase } from "../../ports.ts";
import { claimEpoch } from "../../repository/epochs.ts";
import { FailoverRecords } from "../../repository/failover-records.ts";
import type { OpenRepository } from "../../repository/repository.ts";
import { isRestoredBy, readRestores } from "../../repository/restore-records.ts";
import { planRestore, restorePoint, verifyRestored } from "../restore/restore-point.ts";

export const failoverSteps = ["assess", "epoch", "restore", "verify", "traffic", "promote"] as const;
export type FailoverStepName = (typeof failoverSteps)[number];

const titles: Readonly<Record<FailoverStepName, string>> = {
  assess: "Find the newest complete recovery point",
  epoch: "Claim the epoch",
  restore: "Restore from this region's bucket",
  verify: "Compare with what the source answered",
  traffic: "Lead clients here",
  promote: "Promote the stack (pulumi up)",
};

export interface FailoverStep {
  readonly name: FailoverStepName;
  readonly title: string;
  readonly startedAt: string;
  readonly seconds: number;
  readonly detail: string;
}

export interface FailoverReport {
  readonly region: string;
  readonly epoch: number;
  readonly point: string;
  readonly pointTime: string;
  /** Seconds from the time of the point to the begin of the failover: the writes that may be lost. */
  readonly dataLossSeconds: number;
  readonly points: number;
  readonly isVerified: boolean;
  readonly steps: readonly FailoverStep[];
  readonly seconds: number;
}

export interface FailoverRequest {
  /** Stack and outputs of the region to promote. */
  readonly stack: string;
  readonly region: Region;
  readonly repository: OpenRepository;
  readonly database: VectorDatabase;
  readonly traffic: TrafficControl;
  readonly stacks: Stacks;
  /** Control store of the region that is given up, as far as it can be reached. */
  readonly otherControl: ObjectStore | undefined;
  readonly run: string;
  /** The most seconds of acknowledged writes that may be lost. */
  readonly acceptedDataLossSeconds: number;
  readonly clock: Clock;
  readonly progress: Progress;
}

export interface FailoverPlan {
  readonly region: string;
  readonly epoch: number;
  readonly point: RecoveryPoint;
  readonly dataLossSeconds: number;
  /** An earlier run made the epoch and did not end. */
  readonly continues: boolean;
}

/** What a failover would do; throws when it cannot be done. Changes nothing. */
export async function planFailover(
  request: Pick<FailoverRequest, "region" | "repository" | "clock">,
): Promise<FailoverPlan> {
  const { clock, region, repository } = request;
  const catalog = await repository.catalog();
  const newest = newestEpoch(catalog.epochs);
  if (newest === undefined) {
    throw new DrError("ROLE_UNKNOWN", `the control store of ${region.region} holds no epoch`, {
      hint: "it is not the store of this estate, or it was emptied",
    });
  }
  const continues = newest.active === region.region;
  if (continues && newest.point === undefined) {
    throw new DrError("ROLE_REFUSES", `${region.region} is the active region already (epoch ${newest.epoch})`, {
      hint: "fail over to the other region, or look at `qdrant-dr status`",
    });
  }
  const entry = continues ? findPoint(catalog.entries, newest.point) : resolveLatestRestorable(catalog.entries);
  if (entry?.point === undefined) {
    throw new DrError("POINT_NOT_FOUND", `no complete recovery point is in the bucket of ${region.region}`, {
      hint: "`qdrant-dr points` shows what is there, and what each point lacks",
    });
  }
  const begun = continues ? Date.parse(newest.at) : clock.now().getTime();
  return {
    region: region.region,
    epoch: continues ? newest.epoch : newest.epoch + 1,
    point: entry.point,
    dataLossSeconds: Math.max(0, (begun - Date.parse(entry.point.time)) / 1000),
    continues,
  };
}

export async function failOver(request: FailoverRequest): Promise<FailoverReport> {
  const { clock, database, progress, region, repository, run, stack, stacks, traffic } = request;
  const { control } = repository.stores;
  const begun = clock.now();
  const steps: FailoverStep[] = [];
  const timed = async (name: FailoverStepName, act: () => Promise<string>) => {
    progress({ step: name, detail: titles[name] });
    const startedAt = clock.now();
    const detail = await act();
    const seconds = (clock.now().getTime() - startedAt.getTime()) / 1000;
    steps.push({ name, title: titles[name], startedAt: startedAt.toISOString(), seconds, detail });
  };

  progress({ step: "assess", detail: titles.assess });
  const plan = await planFailover(request);
  const { dataLossSeconds, epoch, point } = plan;
  const loss = `${formatSeconds(dataLossSeconds)} of writes may be lost`;
  if (!plan.continues && dataLossSeconds > request.acceptedDataLossSeconds) {
    throw new DrError("DATA_LOSS_NOT_ACCEPTED", `${loss}, and ${request.acceptedDataLossSeconds} s are accepted`, {
      hint: `repeat with --accept-data-loss ${Math.ceil(dataLossSeconds)} if that is better than waiting`,
    });
  }
  const assessed = (clock.now().getTime() - begun.getTime()) / 1000;
  const assess = { name: "assess", title: titles.assess, startedAt: begun.toISOString() } as const;
  steps.push({ ...assess, seconds: assessed, detail: `${point.id}: ${loss}` });

  // Whatever would stop it later must stop it before the epoch is claimed and the other region is told.
  const restore = { repository, point, target: database, epoch, clock, progress };
  if (!plan.continues) {
    await planRestore(restore);
    await traffic.current();
    for (const { key } of point.collections) await repository.keys.key(key);
  }
  const records = new FailoverRecords(control, epoch, run);
  if (plan.continues) await records.refuseWhileAnotherRuns();
  const recorded = async (name: FailoverStepName, act: () => Promise<string>) => {
    await records.refuseUnlessOwner();
    if ((await records.done()).has(name)) {
      return timed(name, async () => "done by an earlier run");
    }
    return timed(name, async () => {
      await records.begin(name, clock.now());
      const detail = await act();
      await records.end(name, clock.now());
      return detail;
    });
  };

  await timed("epoch", async () => {
    const claimed = await claim(request, plan);
    await records.takeOver();
    return claimed;
  });
  const stopBeating = records.beat();
  try {
    await recorded("restore", async () => {
      // A run that ended between the restore and its own record of it.
      if (isRestoredBy(await readRestores(control), epoch)) return "restored by an earlier run";
      const { collections, points, seconds } = await restorePoint(restore);
      return `${formatCount(points)} points in ${collections} collections in ${formatSeconds(seconds)}`;
    });
    await recorded("verify", async () => {
      const { canaries, samples } = await verifyRestored(restore);
      return `counts, ${samples} sampled points and ${canaries} canary queries are as captured`;
    });
    await recorded("traffic", async () => {
      await traffic.pointTo({ region: region.region, epoch });
      const current = await traffic.current();
      if (current?.region !== region.region)
        throw new DrError("EPOCH_CONFLICT", `the endpoint leads to ${current?.region}`);
      return `the endpoint leads to ${region.region}`;
    });
    // Clients are served from here on; the stack follows, however long it takes.
    await recorded("promote", async () => {
      const { changes } = await stacks.up(stack, ({ text }) => progress({ step: "promote", detail: text }));
      const now = await stacks.region(stack);
      if (now.role !== "active" || now.epoch !== epoch) {
        throw new DrError("PULUMI_FAILED", `after the update stack ${stack} is ${now.role} in epoch ${now.epoch}`);
      }
      return summarise(changes);
    });
  } finally {
    stopBeating();
  }
  const counts = await Promise.all(point.collections.map(({ name }) => database.count(name)));
  return {
    region: region.region,
    epoch,
    point: point.id,
    pointTime: point.time,
    dataLossSeconds,
    points: counts.reduce((sum, count) => sum + count, 0),
    isVerified: true,
    steps,
    seconds: (clock.now().getTime() - begun.getTime()) / 1000,
  };
}

function findPoint(entries: readonly CatalogEntry[], id: string | undefined): CatalogEntry | undefined {
  return entries.find((entry) => entry.id === id && entry.state === "complete");
}

/** One create-only write decides who promotes; the region that is given up is told as well as possible. */
async function claim(
  { clock, otherControl, region, repository, run }: FailoverRequest,
  plan: FailoverPlan,
): Promise<string> {
  if (plan.continues) return `epoch ${plan.epoch} was claimed by an earlier run`;
  const wanted: EpochRecord = {
    epoch: plan.epoch,
    active: region.region,
    previous: plan.point.region,
    reason: "unplanned",
    run,
    point: plan.point.id,
    at: clock.now().toISOString(),
  };
  const record = await claimEpoch(repository.stores.control, wanted);
  if (record.run !== run) {
    throw new DrError("EPOCH_CONFLICT", `another run (${record.run}) claimed epoch ${record.epoch} first`, {
      hint: "let it end; `qdrant-dr status` shows the roles",
    });
  }
  if (otherControl === undefined) return `epoch ${record.epoch}; the other region could not be told`;
  try {
    const told = await claimEpoch(otherControl, wanted);
    if (told.run === run) return `epoch ${record.epoch}, told to the other region`;
    return `epoch ${record.epoch}; the other region holds another epoch ${told.epoch}, by run ${told.run}`;
  } catch (error) {
    return `epoch ${record.epoch}; the other region could not be told: ${toDrError(error).message}`;
  }
}

function summarise(changes: Readonly<Record<string, number>>): string {
  const parts = Object.entries(changes).filter(([, count]) => count > 0);
  return parts.map(([operation, count]) => `${count} ${operation}`).join(", ");
}
