/**
 * Which recovery points a copy brings, the newest first: those that the destination's retention keeps. Two listings say which there are and
 * of which times. What each holds, and whether it is exact, its manifest says alone: as long as it was not read, the best is thought of it. So
 * manifests are read of those that may be kept, and of no others.
 */
import { type Candidate, decideKept, type RetentionDecision } from "../../domain/history/decide-kept.ts";
import { type Retention, retainedKinds, type Tier, tierGroupsOf } from "../../domain/history/retention.ts";
import { timeOfId } from "../../domain/identifier.ts";
import type { CatalogEntry } from "../../domain/recovery-points/catalog.ts";
import { placeInTime, sortNewestFirst } from "../../domain/recovery-points/order.ts";
import type { DataKind } from "../../domain/recovery-points/recovery-point.ts";
import type { BucketView } from "../../repository/catalog/bucket-view.ts";
import { hasAttestation, type RecoveryPointInBucket } from "../../repository/catalog/listed-recovery-points.ts";
import { CandidateMaker } from "../../repository/prune/candidates.ts";

/** Ids follow those in their bucket: one of a wrong clock may be of a later time than its capture by so much. */
const idsAheadMs = 48 * 3_600_000;
/** Schedules that make one kind of data alone are found within it; of what is older, what was seen is expected. */
const surpriseMs = 8 * 24 * 3_600_000;
/** So many of a slot are thought of at a time, as long as they were not read: one is usually enough. */
const unreadOfSlot = 4;

export interface CopyPlanRequest {
  readonly source: BucketView;
  readonly destination: BucketView;
  /** The destination's. */
  readonly retention: Retention;
  /** Nothing that is older is brought; what retention reaches when left out. */
  readonly since: Date | undefined;
  readonly now: Date;
}

interface Known {
  /** As its bucket places it. */
  readonly atMs: number;
  readonly inSource: RecoveryPointInBucket | undefined;
  readonly inDestination: RecoveryPointInBucket | undefined;
  /** Absent for what cannot be read. */
  candidate: Candidate | undefined;
  isRead: boolean;
}

type Holdings = Candidate["holdings"];

export class CopyPlan {
  readonly #request: CopyPlanRequest;
  readonly #known: ReadonlyMap<string, Known>;
  readonly #newestFirst: readonly Known[];
  /** From the finest to the coarsest, of all kinds. */
  readonly #tiers: readonly Tier[];
  readonly #maker = new CandidateMaker();
  /** What was seen of each kind in any that was read. */
  readonly #seen = new Map<string, Set<string>>();
  #expected: Holdings = {};
  #expectedOfLate: Holdings = {};

  private constructor(request: CopyPlanRequest, known: ReadonlyMap<string, Known>) {
    this.#request = request;
    this.#known = known;
    this.#newestFirst = [...known.values()].sort((a, b) => b.atMs - a.atMs);
    this.#tiers = allTiersOf(request.retention);
    this.#expect();
  }

  /** Lists both, and reads nothing. */
  static async make(request: CopyPlanRequest): Promise<CopyPlan> {
    const { destination, now, retention, since, source } = request;
    const reachMs = Math.max(...allTiersOf(retention).map((tier) => tier.reachMs));
    const fromMs = (since?.getTime() ?? now.getTime() - reachMs) - idsAheadMs;
    const known = new Map<string, Known>();
    for (const listed of await source.from(fromMs)) {
      known.set(listed.id, unread(listed, undefined));
    }
    for (const inDestination of await destination.from(fromMs)) {
      known.set(inDestination.id, unread(known.get(inDestination.id)?.inSource, inDestination));
    }
    return new CopyPlan(request, known);
  }

  /** Those that retention keeps by what is known, the newest first: not read yet, or to be copied. */
  wanted(): readonly string[] {
    const { kept } = this.#decide();
    const { since } = this.#request;
    const isOld = (id: string) =>
      since !== undefined && (this.#known.get(id)?.candidate?.startedAt ?? "") < since.toISOString();
    const recent = [...kept.keys()].filter((id) => !isOld(id));
    return sortNewestFirst(recent, (id) => this.#listed(id));
  }

  /** Of the source, those that are neither there nor wanted. */
  unwanted(): number {
    const wanted = new Set(this.wanted());
    const isUnwanted = ([id, { inDestination, inSource, isRead }]: [string, Known]) =>
      inSource !== undefined && inDestination === undefined && !isRead && !wanted.has(id);
    return [...this.#known].filter(isUnwanted).length;
  }

  isRead(id: string): boolean {
    return this.#known.get(id)?.isRead === true;
  }

  /** How both list it. */
  listed(id: string): Pick<Known, "inSource" | "inDestination"> {
    return this.#known.get(id) ?? { inSource: undefined, inDestination: undefined };
  }

  /** The newest that the destination has. */
  newestThere(most: number): readonly RecoveryPointInBucket[] {
    const there = [...this.#known.values()].flatMap(({ inDestination }) => inDestination ?? []);
    return sortNewestFirst(there, (listed) => listed).slice(0, most);
  }

  learn({ attestations, id, recoveryPoint, state }: CatalogEntry): void {
    const known = this.#known.get(id);
    if (known === undefined) throw new Error(`${id} is in no listing`);
    known.isRead = true;
    known.candidate = undefined;
    if (recoveryPoint === undefined) return;
    const { epochs } = this.#request.source;
    const isQuarantined = state !== "complete" && state !== "deposed";
    const isVerified = attestations.some(({ kind }) => kind === "verified");
    const candidate = this.#maker.candidateOf(recoveryPoint, { epochs, isQuarantined, isVerified, heldBy: [] });
    known.candidate = candidate;
    let isNew = false;
    for (const [kind, holding] of Object.entries(candidate.holdings)) {
      const seen = this.#seen.get(kind) ?? new Set();
      for (const part of holding) {
        isNew ||= !seen.has(part);
        seen.add(part);
      }
      this.#seen.set(kind, seen);
    }
    if (isNew) this.#expect();
  }

  /** All that were read, and of those that were not the first of each slot, and the newest of all. */
  #candidates(): Candidate[] {
    const unread = new Map(this.#tiers.map(({ slotMs }) => [slotMs, new Map<number, number>()]));
    const coarsest = this.#tiers.at(-1);
    const newest = new Set(this.#newestFirst.filter(({ isRead }) => !isRead).slice(0, this.#request.retention.atLeast));
    const oldestFirst = this.#newestFirst.toReversed();
    return oldestFirst.flatMap((known) => {
      if (known.isRead) return known.candidate ?? [];
      const ageMs = this.#request.now.getTime() - known.atMs;
      const slotMs = (this.#tiers.find(({ reachMs }) => ageMs <= reachMs) ?? coarsest)?.slotMs ?? Number.NaN;
      const slots = unread.get(slotMs);
      const slot = Math.floor(known.atMs / slotMs);
      const before = slots?.get(slot) ?? 0;
      if (before >= unreadOfSlot && !newest.has(known)) return [];
      slots?.set(slot, before + 1);
      known.candidate = this.#guess(known);
      return known.candidate ?? [];
    });
  }

  /** Until when the destination's schedule wants one that was read. */
  wantedUntil(id: string): Date | undefined {
    const until = this.#decide().wantedUntil.get(id);
    return until === undefined ? undefined : new Date(until);
  }

  #decide(): RetentionDecision {
    return decideKept(this.#candidates(), this.#request.retention, this.#request.now);
  }

  #listed(id: string): RecoveryPointInBucket {
    const { inDestination, inSource } = this.listed(id);
    const listed = inSource ?? inDestination;
    if (listed === undefined) throw new Error(`${id} is in no listing`);
    return listed;
  }

  #guess({ candidate, inDestination, inSource }: Known): Candidate | undefined {
    const listed = inSource ?? inDestination;
    if (listed === undefined) return undefined;
    // As it was guessed before, as long as no more was seen.
    if (candidate?.holdings === this.#expected || candidate?.holdings === this.#expectedOfLate) return candidate;
    const { id, storedAt } = listed;
    const at = timeOfId(id) ?? storedAt ?? new Date(0);
    const startedAt = at.toISOString();
    const isOfLate = this.#request.now.getTime() - at.getTime() <= surpriseMs;
    return {
      id,
      startedAt,
      finishedAt: startedAt,
      // A claim that it is full would be one to be the newest full one.
      type: "incremental",
      isExact: true,
      isVerified: hasAttestation(listed, "verified"),
      isRestorable: !hasAttestation(listed, "quarantined"),
      holdings: isOfLate ? this.#expectedOfLate : this.#expected,
      heldBy: [],
    };
  }

  #expect(): void {
    const seen = (kind: string) => [...(this.#seen.get(kind) ?? [])];
    const all = retainedKinds.map((kind) => [kind, [...new Set([...kindsIn[kind], ...seen(kind)])]] as const);
    this.#expectedOfLate = Object.fromEntries(all);
    const some = retainedKinds.flatMap((kind) => (this.#seen.has(kind) ? [[kind, seen(kind)] as const] : []));
    this.#expected = some.length === 0 ? this.#expectedOfLate : Object.fromEntries(some);
  }
}

function unread(inSource: RecoveryPointInBucket | undefined, inDestination: RecoveryPointInBucket | undefined): Known {
  const listed = inSource ?? inDestination;
  const atMs = listed === undefined ? Number.NaN : placeInTime(listed);
  return { atMs, inSource, inDestination, candidate: undefined, isRead: false };
}

function allTiersOf(retention: Retention): Tier[] {
  const all = retainedKinds.flatMap((kind) => tierGroupsOf(retention, kind).flatMap(({ tiers }) => tiers));
  return all.sort((a, b) => a.slotMs - b.slotMs || b.reachMs - a.reachMs);
}

const kindsIn = {
  qdrant: ["qdrant"],
  folders: ["config", "user-data"],
  infrastructure: ["infrastructure"],
} as const satisfies Record<(typeof retainedKinds)[number], readonly DataKind[]>;
