/** Who needs recovery points and objects, whatever the schedule says; captures and copies that are under way among them. */
import { capturePlanSchema } from "../../domain/recovery-points/capture-plan.ts";
import { storeLayout } from "../../domain/recovery-points/store-layout.ts";
import type { EpochRecord } from "../../domain/roles/epoch.ts";
import type { ReportUnreadable } from "../../repository/record.ts";
import { unlessMissing, unlessUnreadable } from "../../repository/record.ts";
import type { OpenRepository } from "../../repository/repository.ts";
import { HeldRecoveryPoints } from "./held-recovery-points.ts";
import type { RepositoryListing } from "./list-repository.ts";

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
  const held = await HeldRecoveryPoints.find(repository, now, reportUnreadable);
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
      for (const base of plan?.bases ?? [plan?.base]) held.hold(base, `the capture ${name} builds on it`);
    }
    openSessions.set(name, session.begunAt);
    young = Math.min(young, session.begunAt.getTime());
  }
  const { epochs, heldBy } = held;
  return { epochs, heldBy, youngSince: new Date(young - marginMs), openSessions, endedSessions };
}
