/**
 * The first half of a switchover, while the active region lives: it is fenced, its gate closes and empties, its
 * last writes are brought over and compared. Only then is the epoch claimed. Until that moment it can be given up, and
 * the region that was active serves again.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { formatCount, formatSeconds } from "../../domain/format.ts";
import { markOfSettings } from "../../domain/qdrant/shard-mark.ts";
import type { RecoveryPoint } from "../../domain/recovery-points/recovery-point.ts";
import { isExact } from "../../domain/recovery-points/recovery-point.ts";
import type { EpochRecord } from "../../domain/roles/epoch.ts";
import { DrError, hasCode, toDrError } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { VectorDatabase } from "../../ports/qdrant.ts";
import { claimEpoch } from "../../repository/control/epochs.ts";
import { writeFence } from "../../repository/control/gate-records.ts";
import { recordHeld } from "../../repository/control/standby-records.ts";
import { verifyApplied, wholeRecoveryPoint } from "../apply/verify-applied.ts";
import type { FailoverRun } from "./failover-run.ts";
import type { FailoverPlan, ServableState } from "./plan-failover.ts";
import { findDivergence, keepDivergence } from "./report-divergence.ts";
import type { FailoverRequest, FollowCycle, HandOver } from "./request.ts";
import { claimAndTell } from "./tell-regions.ts";

const pollMs = 50;
const gateClosesWithinMs = 30_000;
/** A cycle that takes no longer leaves little for the pause; another one is worth while as long as each is much shorter. */
const shortCycleSeconds = 3;
const shorterBy = 0.7;
/** With the gate closed nothing changes but by optimizations that end. */
const lastCycles = 8;

export interface SwitchoverResult extends ServableState {
  readonly fencedAt: Date;
}

export async function handOver(
  request: FailoverRequest,
  plan: FailoverPlan,
  run: FailoverRun,
): Promise<SwitchoverResult> {
  const { clock, database, handOver: active, region, repository } = request;
  if (active === undefined) throw new Error("a switchover has a region that steps down");
  if (active.isSuperseding) {
    await run.once("divergence", async () => {
      const found = await findDivergence(database, active.database);
      const count = found.reduce((sum, { different, onlyThere }) => sum + different.length + onlyThere.length, 0);
      if (found.length === 0) return `everything that ${region.region} holds is in ${plan.from}, too`;
      const key = await keepDivergence(repository.stores.control, plan.epoch, request.run, found);
      return `${formatCount(count)} points of ${found.map(({ name }) => name).join(", ")} are only or otherwise in ${region.region}: kept in its control store as ${key}`;
    });
  }
  await run.step("follow", async () => {
    for (let before = Number.POSITIVE_INFINITY; ; ) {
      const { seconds } = await active.cycle({ patience: "provisional" });
      if (seconds <= shortCycleSeconds) return `a cycle takes ${formatSeconds(seconds)}`;
      if (seconds > before * shorterBy) return `a cycle still takes ${formatSeconds(seconds)}: so long is the pause`;
      before = seconds;
    }
  });
  const fencedAt = clock.now();
  try {
    await run.step("fence", () => fence(request, active, plan));
    await run.step("drain", () => drain(active));
    let last: FollowCycle | undefined;
    await run.step("last-writes", async () => {
      const took: string[] = [];
      while (took.length < lastCycles) {
        last = await active.cycle({ patience: "soon" });
        took.push(formatSeconds(last.seconds));
        // It began when the gate was closed and empty: what is exact then is everything.
        if (last.isExact) return `${last.recoveryPoint} holds everything; cycles took ${took.join(", ")}`;
      }
      throw new DrError(
        "CAPTURE_INCOMPLETE",
        `after ${lastCycles} cycles it is not known that ${region.region} holds all of ${plan.from}`,
        {
          hint: "optimizations do not end, and no snapshot could be taken meanwhile; try again when it is quieter",
        },
      );
    });
    const asOf = new Date(last?.asOf ?? fencedAt);
    const recoveryPoint = await repository.readRecoveryPoint(last?.recoveryPoint ?? "");
    await run.step("compare", async () => {
      const points = await compareCounts(active.database, database, recoveryPoint);
      const proof = await verifyApplied({ clock, repository, target: database }, wholeRecoveryPoint(recoveryPoint));
      const equal = `${formatCount(points)} points, ${proof.samples} samples and ${proof.canaries} canary queries are equal`;
      await recordHandedOver(active, { asOf, epoch: plan.epoch, recoveryPoint }, clock);
      return equal;
    });
    await run.step("epoch", () => {
      const names = { active: region.region, previous: plan.from, run: request.run, recoveryPoint: recoveryPoint.id };
      const times = { asOf: asOf.toISOString(), at: clock.now().toISOString() };
      return claimAndTell(
        { epoch: plan.epoch, reason: "switchover", ...names, ...times },
        { control: repository.stores.control, otherControl: active.control },
      );
    });
    return { recoveryPoint, asOf, isWarm: true, fencedAt };
  } catch (error) {
    // Whoever owns it now decides; and once the epoch is claimed there is no way back but another failover.
    if (hasCode(error, "EPOCH_CONFLICT")) throw error;
    const outcome = await giveUp(request, active, plan).catch((thrown: unknown) => toDrError(thrown));
    if (outcome instanceof DrError) throw fenceRemains(toDrError(error), plan, outcome);
    if (outcome === "claimed") throw error;
    const { code, hint, message } = toDrError(error);
    throw new DrError(code, `${message}; the failover was given up and ${plan.from} serves again`, {
      ...(hint === undefined ? {} : { hint }),
      cause: error,
    });
  }
}

async function fence(
  { clock, repository, run }: FailoverRequest,
  { control, region }: HandOver,
  { epoch }: FailoverPlan,
): Promise<string> {
  const record = { epoch, region, run, at: clock.now().toISOString() };
  // Here first: replication into this region stops by it, and the other region's gate may see it here, too.
  await writeFence(repository.stores.control, record);
  await writeFence(control, record);
  return `${region} is fenced for epoch ${epoch}`;
}

async function drain({ database, gate, region }: HandOver): Promise<string> {
  if (gate === undefined) {
    throw new DrError("NOT_SUPPORTED", `${region} has no gate: nothing could stop its writes`, {
      hint: "declare a gate for it, or stop its clients and run a failover",
    });
  }
  const begun = performance.now();
  for (;;) {
    const { cut, inFlight, isOpen, reason } = await gate.look();
    if (!isOpen && inFlight === 0) {
      // Clients that do not wait for their writes were told they are safe before they were applied.
      for (const name of await database.collections()) await database.settle(name);
      return `closed and empty${cut === 0 ? "" : `; ${cut} requests took too long`}`;
    }
    if (performance.now() - begun > gateClosesWithinMs) {
      throw new DrError(
        "UNREACHABLE",
        `the gate of ${region} is ${isOpen ? `open: ${reason}` : `not empty: ${inFlight} requests are under way`}`,
        { hint: "see that its control store can be read by it" },
      );
    }
    await sleep(pollMs);
  }
}

/** By the servers' own counts; throws VERIFICATION_FAILED. */
async function compareCounts(from: VectorDatabase, to: VectorDatabase, recoveryPoint: RecoveryPoint): Promise<number> {
  let points = 0;
  for (const { name } of recoveryPoint.collections) {
    const [there, here] = await Promise.all([from.count(name), to.count(name)]);
    if (there !== here) {
      throw new DrError("VERIFICATION_FAILED", `${name} has ${there} points there and ${here} here`);
    }
    points += here;
  }
  return points;
}

/**
 * From the epoch on, the region that steps down holds what was proven to be in the other one: its own replication may follow back
 * and replace it. Written before the epoch is claimed, of which it tells; should that name this region again, it says nothing.
 */
async function recordHandedOver(
  { control, database, region }: HandOver,
  { asOf, epoch, recoveryPoint }: Pick<ServableState, "asOf" | "recoveryPoint"> & Pick<FailoverPlan, "epoch">,
  clock: Clock,
): Promise<void> {
  const collections = recoveryPoint.collections.map((captured) => {
    const mark = markOfSettings(captured, captured.shards);
    // Clients made what is in their shards, not replication.
    return { name: captured.name, made: mark, described: mark, shards: [] };
  });
  const at = clock.now().toISOString();
  await recordHeld(control, {
    ...{
      format: 1,
      at,
      recoveryPoint: recoveryPoint.id,
      region,
      epoch,
      asOf: asOf.toISOString(),
      isExact: isExact(recoveryPoint),
    },
    ...{ processes: await database.processes(), fingerprints: {}, collections },
  });
}

/**
 * Gives a switchover up: the epoch that it was going to make names the region that is active already. The same
 * create-only write decides between this and a run that is about to claim it.
 */
export async function giveUp(
  {
    clock,
    region,
    repository,
    run,
  }: Pick<FailoverRequest, "repository" | "region" | "run"> & { readonly clock: Clock },
  active: Pick<HandOver, "control" | "gate" | "region">,
  { epoch }: Pick<FailoverPlan, "epoch">,
): Promise<"given up" | "claimed"> {
  const record: EpochRecord = {
    epoch,
    active: active.region,
    previous: active.region,
    reason: "aborted",
    run,
    at: clock.now().toISOString(),
  };
  const claimed = await claimEpoch(repository.stores.control, record);
  if (claimed.active === region.region) return "claimed";
  await claimEpoch(active.control, claimed);
  // It looks by itself, too; asked, it serves sooner.
  await active.gate?.look().catch(() => undefined);
  return "given up";
}

function fenceRemains(error: DrError, { epoch, from }: FailoverPlan, cause: DrError): DrError {
  return new DrError(error.code, `${error.message}; and the fence of ${from} could not be lifted: ${cause.message}`, {
    hint: `${from} does not serve: run the switchover again, or give epoch ${epoch} up with \`qdrant-dr switchover abort\``,
    cause: error,
  });
}
