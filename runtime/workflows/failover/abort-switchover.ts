/**
 * Aborts a switchover that has not claimed its epoch: the epoch then names the region that is active already, and that region
 * serves again.
 */
import { randomUUID } from "node:crypto";
import { type EpochRecord, newestEpoch } from "../../domain/roles/epoch.ts";
import { DrError, toDrError } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { ObjectStore } from "../../ports/object-store.ts";
import { claimEpoch, epochsAfter, readEpochs } from "../../repository/control/epochs.ts";
import { readFence } from "../../repository/control/gate-records.ts";
import type { RegionSession } from "../region-session.ts";
import type { ActiveRegion } from "./request.ts";
import type { SwitchoverContext } from "./steps/step.ts";

export interface AbortRequest {
  /** The region that was to be promoted. */
  readonly session: RegionSession;
  readonly openActive: () => Promise<RegionSession>;
  readonly clock: Clock;
}

export interface AbortedSwitchover {
  /** The epoch that the switchover was going to make. */
  readonly epoch: number;
  readonly active: string;
}

/** Throws USAGE when no switchover is under way, and ROLE_REFUSES when it has claimed its epoch already. */
export async function abortSwitchover({ clock, openActive, session }: AbortRequest): Promise<AbortedSwitchover> {
  // Refuses a store that is not this region's.
  await session.repository();
  const { control } = session.stores;
  const { region } = session.region;
  const newest = newestEpoch(await readEpochs(control));
  if (newest === undefined) throw nothingToAbort(region);
  const isFenced = (await readFence(control, newest.epoch + 1)) !== undefined;
  // An aborted epoch is claimed once more: the other region may not have learnt of it.
  if (!isFenced && newest.reason !== "aborted") throw nothingToAbort(region);
  const active = await openActive();
  const epoch = isFenced ? newest.epoch + 1 : newest.epoch;
  const outcome = await claimForActive({
    control,
    active: { region: newest.active, control: active.stores.control, gate: active.gate() },
    promoted: region,
    epoch,
    run: randomUUID(),
    clock,
  });
  if (outcome === "aborted") return { epoch, active: newest.active };
  throw new DrError("ROLE_REFUSES", `${region} is the active region in epoch ${epoch} already`, {
    hint: `\`qdrant-dr switchover run --to ${newest.active}\` goes back`,
  });
}

function nothingToAbort(region: string): DrError {
  return new DrError("USAGE", `no switchover to ${region} is under way`, {
    hint: "`qdrant-dr status` shows the roles",
  });
}

/** Aborts a switchover that failed while the active region was fenced, and answers what to throw. */
export async function abortAfter(error: unknown, { plan, request }: SwitchoverContext): Promise<unknown> {
  const { code, hint, message } = toDrError(error);
  // The run that owns it now decides; and once the epoch is claimed there is no way back but another switchover.
  if (code === "EPOCH_CONFLICT") {
    if (!(await isFencedFor(plan.epoch, request))) return error;
    return new DrError(code, `${message}; ${plan.from} stays fenced until that run ends`, {
      hint: `let it end; if it does not, run the switchover again, or abort epoch ${plan.epoch} with \`qdrant-dr switchover abort\``,
      cause: error,
    });
  }
  let outcome: Outcome;
  try {
    outcome = await claimForActive({
      control: request.repository.stores.control,
      active: request.active,
      promoted: plan.region,
      epoch: plan.epoch,
      run: request.run,
      clock: request.clock,
    });
  } catch (cause) {
    const problem = toDrError(cause).message;
    return new DrError(code, `${message}; and the fence of ${plan.from} could not be lifted: ${problem}`, {
      hint: `${plan.from} does not serve: run the switchover again, or abort epoch ${plan.epoch} with \`qdrant-dr switchover abort\``,
      cause: error,
    });
  }
  if (outcome === "claimed") return error;
  return new DrError(code, `${message}; the switchover was aborted and ${plan.from} serves again`, {
    hint,
    cause: error,
  });
}

/** Whether the active region is fenced for this epoch, which nobody has claimed yet. */
async function isFencedFor(epoch: number, { repository }: SwitchoverContext["request"]): Promise<boolean> {
  const { control } = repository.stores;
  try {
    if ((await readFence(control, epoch)) === undefined) return false;
    return (await epochsAfter(control, epoch - 1)).length === 0;
  } catch {
    // A store that does not answer lifts no fence.
    return true;
  }
}

interface Abort {
  /** The control store of the region that was to be promoted. */
  readonly control: ObjectStore;
  readonly promoted: string;
  readonly active: Pick<ActiveRegion, "region" | "control" | "gate">;
  readonly epoch: number;
  readonly run: string;
  readonly clock: Clock;
}

/** `claimed`: a run was faster, and has made the promoted region the active one. */
type Outcome = "aborted" | "claimed";

/** One create-only write decides between the abort and a run that is about to claim the epoch for the promoted region. */
async function claimForActive({ active, clock, control, epoch, promoted, run }: Abort): Promise<Outcome> {
  const record: EpochRecord = {
    epoch,
    active: active.region,
    previous: active.region,
    reason: "aborted",
    run,
    at: clock.now().toISOString(),
  };
  const stands = await claimEpoch(control, record);
  if (stands.active === promoted) return "claimed";
  await claimEpoch(active.control, stands);
  // The gate looks by itself, too; asked, it serves sooner.
  await active.gate?.look().catch(() => undefined);
  return "aborted";
}
