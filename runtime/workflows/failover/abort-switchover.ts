/** Gives a switchover up that did not end: the region that was active serves again. */
import { randomUUID } from "node:crypto";
import { newestEpoch } from "../../domain/roles/epoch.ts";
import { DrError } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import { readEpochs } from "../../repository/control/epochs.ts";
import { readFence } from "../../repository/control/gate-records.ts";
import type { RegionSession } from "../region-session.ts";
import { giveUp } from "./hand-over.ts";

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
  const repository = await session.repository();
  const { control } = session.stores;
  const { region } = session.region;
  const newest = newestEpoch(await readEpochs(control));
  const next = (newest?.epoch ?? 0) + 1;
  const isFenced = (await readFence(control, next)) !== undefined;
  // Given up already, and the other region may not have been told.
  const isGivenUp = newest?.reason === "aborted";
  if (newest === undefined || (!isFenced && !isGivenUp)) {
    throw new DrError("USAGE", `no switchover to ${region} is under way`, {
      hint: "`qdrant-dr status` shows the roles",
    });
  }
  const active = await openActive();
  const epoch = isFenced ? next : newest.epoch;
  const outcome = await giveUp(
    { repository, region: session.region, run: randomUUID(), clock },
    { region: newest.active, control: active.stores.control, gate: active.gate() },
    { epoch },
  );
  if (outcome === "claimed") {
    throw new DrError("ROLE_REFUSES", `${region} is the active region in epoch ${epoch} already`, {
      hint: `\`qdrant-dr switchover run --to ${newest.active}\` goes back`,
    });
  }
  return { epoch, active: newest.active };
}
