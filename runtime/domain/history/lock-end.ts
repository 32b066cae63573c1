/**
 * Until when a recovery point is locked: as long as the schedule will want it, which is known when it is made, because retention keeps the first
 * of each slot. What becomes the first of one later, because another cannot be restored any more, gets its longer lock from a prune.
 */
import { type Candidate, slotOf } from "./decide-kept.ts";
import { longestReachOf, type Retention, retainedKinds, shortestReachOf, tierGroupsOf } from "./retention.ts";

/** A lock is longer than it must be by an eighth at most, so that one extension of a pack serves many recovery points. */
const stepsInReach = 8;

/** Who renews locks, the daily prune, comes again before they end. */
const renewedWithinMs = 2 * 24 * 3_600_000;

export type LockedCandidate = Pick<Candidate, "holdings" | "isExact" | "startedAt">;

export interface LockEnd {
  /** The schedule wants the recovery point until then: nothing that it needs may be locked for less. */
  readonly needed: Date;
  /** What is locked for less is locked until then. */
  readonly extended: Date;
  /** The schedule wants it for as long as everything; another of its slots is kept longer. */
  readonly isShortest: boolean;
}

/** @param before recovery points that are older and can be restored, as far as any are known. */
export function lockEndOf(
  recoveryPoint: LockedCandidate,
  before: readonly LockedCandidate[],
  retention: Retention,
): LockEnd {
  const startedMs = Date.parse(recoveryPoint.startedAt);
  let endMs = startedMs;
  let reachOfEnd = 0;
  let shortest = Number.POSITIVE_INFINITY;
  for (const kind of retainedKinds) {
    for (const group of tierGroupsOf(retention, kind)) {
      const parts = group.partsOf(recoveryPoint.holdings[kind] ?? []);
      if (parts.length === 0) continue;
      const covering = before.filter(({ holdings, isExact }) => {
        const partsBefore = new Set(group.partsOf(holdings[kind] ?? []));
        return (isExact || !recoveryPoint.isExact) && parts.every((part) => partsBefore.has(part));
      });
      for (const tier of group.tiers) {
        shortest = Math.min(shortest, tier.reachMs);
        const slot = slotOf(tier, startedMs);
        const standsIn = covering.some(({ startedAt }) => slotOf(tier, Date.parse(startedAt)) === slot);
        // The finest counts in any case: nothing is without a lock while it is new.
        const isWanted = !standsIn || tier === group.tiers[0];
        if (isWanted && startedMs + tier.reachMs > endMs)
          [endMs, reachOfEnd] = [startedMs + tier.reachMs, tier.reachMs];
      }
    }
  }
  return { ...stepped(endMs, reachOfEnd), isShortest: reachOfEnd <= shortest };
}

/** In days, the longest lock of what retention keeps for so many. A day that has begun may count as a whole one. */
export function longestExtension(days: number): number {
  return Math.ceil(days + days / stepsInReach) + 1;
}

/** Times at which many recovery points end together. */
export function stepped(endMs: number, reachMs: number): Pick<LockEnd, "extended" | "needed"> {
  const step = Math.max(reachMs / stepsInReach, 1_000);
  // Stores keep whole seconds.
  const toSecond = (ms: number) => new Date(Math.ceil(ms / 1_000) * 1_000);
  return { needed: toSecond(endMs), extended: toSecond(Math.ceil(endMs / step) * step) };
}

/**
 * Of one of which retention, or a person, has decided.
 * @param wantedUntil no lock is longer than retention keeps anything. Undefined: it is kept until somebody says otherwise; its lock is renewed.
 */
export function lockEndBy(retention: Retention, wantedUntil: Date | undefined, now: Date): LockEnd {
  const [nowMs, shortestMs] = [now.getTime(), shortestReachOf(retention)];
  const renewedMs = nowMs + Math.max(shortestMs, renewedWithinMs);
  const wantedMs = Math.min(wantedUntil?.getTime() ?? 0, nowMs + longestReachOf(retention));
  if (wantedMs > renewedMs) return { ...stepped(wantedMs, wantedMs - nowMs), isShortest: false };
  return { ...stepped(renewedMs, shortestMs), isShortest: false };
}
