/** Who needs recovery points, whatever the schedule says: failovers, restores, standbys, captures and copies that are under way. */

import { capturePlanSchema } from "../../domain/recovery-points/capture-plan.ts";
import { storeLayout } from "../../domain/recovery-points/store-layout.ts";
import { type EpochRecord, newestEpoch } from "../../domain/roles/epoch.ts";
import { CapturedChain } from "../../repository/catalog/captured-records.ts";
import { readEpochs } from "../../repository/control/epochs.ts";
import { restoresNotEnded } from "../../repository/control/restore-records.ts";
import { readStandbyKnowledge } from "../../repository/control/standby-records.ts";
import type { ReportUnreadable } from "../../repository/record.ts";
import { unlessMissing, unlessUnreadable } from "../../repository/record.ts";
import type { OpenRepository } from "../../repository/repository.ts";
import type { RepositoryListing } from "./list-repository.ts";

/** A restore that has not ended for so long was killed, and nobody goes on with it. */
const restoreLastsMs = 30 * 24 * 3_600_000;
/** A capture or copy that was silent for longer was killed. One that was only frozen notices it when it commits. */
const sessionSilentMs = 48 * 3_600_000;
/** Listings and clocks of one store may be behind by so much. */
const marginMs = 3_600_000;

export interface Holders {
  readonly epochs: readonly EpochRecord[];
  /** Why, by the id of the recovery point. */
  readonly heldBy: ReadonlyMap<string, readonly string[]>;
  /** What was stored since is not dropped, needed or not: captures and copies that are under way store before they say what. */
  readonly youngSince: Date;
  /** Captures and copies that are under way, and when they began. */
  readonly openSessions: ReadonlyMap<string, Date>;
  /** Records of sessions, by their keys, that nobody needs any more. */
  readonly endedSessions: ReadonlyMap<string, { readonly size: number }>;
}

/** @param now by the store's clock. */
export async function findHolders(
  repository: OpenRepository,
  listing: RepositoryListing,
  now: Date,
  reportUnreadable: ReportUnreadable,
): Promise<Holders> {
  const { control } = repository.stores;
  const heldBy = new Map<string, string[]>();
  const hold = (id: string | undefined, reason: string) => {
    if (id === undefined) return;
    const known = heldBy.get(id) ?? [];
    heldBy.set(id, known);
    known.push(reason);
  };
  const epochs = await readEpochs(control, reportUnreadable);
  const newest = newestEpoch(epochs);
  for (const { epoch, recoveryPoint } of epochs) {
    if (newest !== undefined && epoch >= newest.epoch - 1) hold(recoveryPoint, `epoch ${epoch} began with it`);
  }
  const { held } = await readStandbyKnowledge(control, now, reportUnreadable);
  hold(held?.recoveryPoint, "the standby holds it");
  if (newest !== undefined) {
    const captured = await (await CapturedChain.open(control, newest.epoch)).newest();
    hold(captured?.recoveryPoint, "it was captured for the standby last");
  }
  const since = new Date(now.getTime() - restoreLastsMs);
  for (const { id, recoveryPoint } of await restoresNotEnded(control, since, reportUnreadable)) {
    hold(recoveryPoint, `restore ${id} has not ended`);
  }
  let young = now.getTime();
  const openSessions = new Map<string, Date>();
  const endedSessions = new Map<string, { readonly size: number }>();
  for (const [name, session] of listing.sessions) {
    if (now.getTime() - session.aliveAt.getTime() > sessionSilentMs) {
      for (const { key, size } of session.records) endedSessions.set(key, { size });
      continue;
    }
    // A single capture, and a copy, have the name of their recovery point.
    if (session.isCommitted || listing.recoveryPoints.has(name)) continue;
    if (session.hasPlan) {
      const key = storeLayout.capturePlan(name);
      const reading = unlessMissing(repository.readRecord(key, capturePlanSchema));
      const plan = await unlessUnreadable(key, reading, reportUnreadable);
      if (plan !== undefined && listing.recoveryPoints.has(plan.recoveryPoint)) continue;
      for (const base of plan?.bases ?? [plan?.base]) hold(base, `the capture ${name} builds on it`);
    }
    openSessions.set(name, session.begunAt);
    young = Math.min(young, session.begunAt.getTime());
  }
  return { epochs, heldBy, youngSince: new Date(young - marginMs), openSessions, endedSessions };
}
