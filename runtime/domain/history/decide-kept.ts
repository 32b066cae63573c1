/**
 * Which recovery points the schedule wants, each with its reasons, and which it does not. Pure: whoever deletes looks at the
 * answer twice, a day apart.
 */
import { sortNewestFirst } from "../recovery-points/order.ts";
import type { CaptureType } from "../recovery-points/recovery-point.ts";
import {
  type Holding,
  type RetainedKind,
  type Retention,
  retainedKinds,
  type Tier,
  type TierGroup,
  tierGroupsOf,
} from "./retention.ts";

export interface Candidate {
  readonly id: string;
  readonly startedAt: string;
  readonly finishedAt: string;
  readonly type: CaptureType;
  readonly isExact: boolean;
  readonly isVerified: boolean;
  /** False: quarantined, deposed, or known to be incomplete. It fills no place of one that can be restored. */
  readonly isRestorable: boolean;
  /** Equal holdings should be one object: then they are told apart at no cost. */
  readonly holdings: Readonly<Partial<Record<RetainedKind, Holding>>>;
  /** Who needs it, whatever the schedule says. */
  readonly heldBy: readonly string[];
}

export interface RetentionDecision {
  /** Why, by the id of each that is kept; the first reason is the one that lasts longest. */
  readonly kept: ReadonlyMap<string, readonly string[]>;
  /** Until when the schedule wants each that it wants, in milliseconds. What is kept and is not here is kept for another reason. */
  readonly wantedUntil: ReadonlyMap<string, number>;
  /** Why not, by the id of each that is dropped. */
  readonly dropped: ReadonlyMap<string, string>;
}

/** Clocks of those who capture and of those who prune may differ by so much. */
export const clockToleranceMs = 10 * 60_000;

export function decideKept(candidates: readonly Candidate[], retention: Retention, now: Date): RetentionDecision {
  const reasons = new Map<string, Set<string>>();
  const keep = ({ id }: Candidate, reason: string) => {
    const known = reasons.get(id) ?? new Set();
    reasons.set(id, known.add(reason));
  };
  const wantedUntil = new Map<string, number>();
  const want: Want = ({ candidate, startedMs }, { reachMs }, reason) => {
    keep(candidate, reason);
    wantedUntil.set(candidate.id, Math.max(wantedUntil.get(candidate.id) ?? 0, startedMs + reachMs));
  };
  const dated: DatedCandidate[] = [];
  for (const candidate of candidates) {
    for (const holder of candidate.heldBy) keep(candidate, holder);
    const startedMs = Date.parse(candidate.startedAt);
    // It fills no place and is no newest, or one wrong clock would thin a whole history.
    if (startedMs > now.getTime() + clockToleranceMs) keep(candidate, "its time is in the future, and does not count");
    else dated.push({ candidate, startedMs });
  }
  const newestFirst = sortNewestFirst(dated, ({ candidate }) => candidate);
  const restorable = newestFirst.filter(({ candidate }) => candidate.isRestorable);
  const others = newestFirst.filter(({ candidate }) => !candidate.isRestorable);
  const standIns = new Map<string, string>();
  for (const kind of retainedKinds) {
    const holdsKind = ({ candidate }: DatedCandidate) => candidate.holdings[kind] !== undefined;
    const [restorableOfKind, othersOfKind] = [restorable.filter(holdsKind), others.filter(holdsKind)];
    keepNewest(restorableOfKind, kind, retention.atLeast, keep);
    for (const group of tierGroupsOf(retention, kind)) {
      for (const tier of group.tiers) {
        keepOfTier(restorableOfKind, { kind, group, tier, now }, want, standIns, "");
        // They may be healed: they are thinned like the others, among themselves.
        keepOfTier(othersOfKind, { kind, group, tier, now }, want, standIns, ", though it cannot be restored now");
      }
    }
  }
  const dropped = candidates.filter(({ id }) => !reasons.has(id));
  return {
    kept: new Map([...reasons].map(([id, all]) => [id, [...all]])),
    wantedUntil,
    dropped: new Map(dropped.map(({ id }) => [id, standIns.get(id) ?? "older than all that is kept"])),
  };
}

interface DatedCandidate {
  readonly candidate: Candidate;
  readonly startedMs: number;
}

type Keep = (candidate: Candidate, reason: string) => void;
type Want = (dated: DatedCandidate, tier: Tier, reason: string) => void;

/** The newest of everything, however old they are. */
function keepNewest(newestFirst: readonly DatedCandidate[], kind: RetainedKind, atLeast: number, keep: Keep): void {
  for (const { candidate } of newestFirst.slice(0, atLeast)) keep(candidate, `one of the ${atLeast} newest`);
  const first = (reason: string, isWanted: (candidate: Candidate) => boolean) => {
    const found = newestFirst.find(({ candidate }) => isWanted(candidate));
    if (found !== undefined) keep(found.candidate, reason);
  };
  first("the newest that is exact", ({ isExact }) => isExact);
  first("the newest full one", ({ type }) => type === "full");
  first("the newest that was verified", ({ isVerified }) => isVerified);
  const covered = new Set<string>();
  let last: Holding | undefined;
  for (const { candidate } of newestFirst) {
    const holding = candidate.holdings[kind];
    if (holding === undefined || holding === last) continue;
    last = holding;
    for (const part of holding) {
      if (covered.has(part)) continue;
      covered.add(part);
      keep(candidate, `the newest with ${part}`);
    }
  }
}

interface TierOfGroup {
  readonly kind: RetainedKind;
  readonly group: TierGroup;
  readonly tier: Tier;
  readonly now: Date;
}

/**
 * In each slot the first exact one, or the first where none is exact; and of what that does not hold, the first that does. The first, because
 * it is known when it is made that it will be kept, and how long: that is how long it is locked (`lock-end.ts`).
 * @param standIns told of each that is not kept which one stands for it; what is told first stays.
 */
function keepOfTier(
  newestFirst: readonly DatedCandidate[],
  { group, kind, now, tier }: TierOfGroup,
  want: Want,
  standIns: Map<string, string>,
  remark: string,
): void {
  const { reachMs, slot, slotMs } = tier;
  const isReached = ({ startedMs }: DatedCandidate) => now.getTime() - startedMs <= reachMs;
  const slots = new Map<number, DatedCandidate[]>();
  for (const dated of newestFirst) {
    // The first of a slot stays the first: also while the others are within reach, and it is not.
    if (now.getTime() - dated.startedMs > reachMs + slotMs) continue;
    const number = slotOf(tier, dated.startedMs);
    const members = slots.get(number);
    if (members === undefined) slots.set(number, [dated]);
    else members.push(dated);
  }
  for (const members of slots.values()) {
    // Stable: among equals the oldest stays the first.
    const exactFirst = members.reverse().sort((a, b) => Number(b.candidate.isExact) - Number(a.candidate.isExact));
    let first: DatedCandidate | undefined;
    const covered = new Set<string>();
    let last: Holding | undefined;
    for (const dated of exactFirst) {
      const { id, holdings } = dated.candidate;
      const holding = group.partsOf(holdings[kind] ?? []);
      if (holding.length === 0) continue;
      first ??= dated;
      const adds = holding !== last && holding.some((part) => !covered.has(part));
      last = holding;
      if (adds) {
        for (const part of holding) covered.add(part);
        if (isReached(dated)) want(dated, tier, `the first of its ${slot}${remark}`);
      } else if (!standIns.has(id) && isReached(first)) {
        standIns.set(id, `${first.candidate.id} is kept of its ${slot}`);
      }
    }
  }
}

/** The number of the slot that a time falls into. */
export function slotOf({ slotMs }: Tier, ms: number): number {
  return Math.floor(ms / slotMs);
}
