/** The state of a region and its peer, whether the active one serves, and how ready the other one is to take over. */
import {
  assessReadiness,
  type Objectives,
  type Readiness,
  type ReadinessFacts,
} from "../../domain/health/readiness.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Progress } from "../../ports/progress.ts";
import { gatherReadiness } from "./gather-readiness.ts";
import { observeRegion, observeTraffic, type RegionStatus, unknownRegion } from "./observe-region.ts";
import {
  type AskResult,
  type FoundRecoveryPoint,
  findNewestRecoveryPoint,
  type ObservedRegion,
  type Timeouts,
  patience as usualPatience,
} from "./observed-region.ts";
import { type Watched, watchRegion } from "./watch-region.ts";

/** A region of which it is known where it is. */
export interface KnownMember {
  readonly name: string;
  readonly observed: ObservedRegion;
  readonly objectives: Objectives;
  readonly backend: ReadinessFacts["backend"];
  readonly problem?: undefined;
}

export interface UnknownMember {
  readonly name: string;
  readonly observed: undefined;
  /** Why it is not known where it is. */
  readonly problem: string;
}

/** One of the two, as far as it is known where it is. */
export type PairMember = KnownMember | UnknownMember;

export interface PairRequest {
  /** The one that was named, then its peer unless it is alone. */
  readonly members: readonly [KnownMember, PairMember?];
  /** For how long the active region is looked at. */
  readonly seconds: number;
  /** Asks Pulumi what `up` of a stack would change; absent: nobody asked for it. */
  readonly preview?: ((stack: string) => Promise<{ readonly changes: Readonly<Record<string, number>> }>) | undefined;
  readonly clock: Clock;
  readonly progress: Progress;
  readonly patience?: Timeouts;
}

export interface PairStatus {
  readonly regions: readonly RegionStatus[];
  readonly traffic: { readonly region?: string; readonly epoch?: number; readonly problem?: string } | undefined;
  /** Absent when no region is known to be active. */
  readonly active?: { readonly region: string; readonly watched: Watched | undefined } | undefined;
  /** Of the region that is not active. */
  readonly readiness?: (Readiness & { readonly region: string }) | undefined;
  readonly problems: readonly string[];
}

export async function observePair(request: PairRequest): Promise<PairStatus> {
  const { clock, members, patience = usualPatience } = request;
  const begin = (member: PairMember): LookedAt =>
    member.observed === undefined
      ? member
      : { ...member, found: findNewestRecoveryPoint(member.observed, clock, patience) };
  const looked = members.filter((member) => member !== undefined).map(begin);
  const observe = async (member: LookedAt) =>
    member.observed === undefined
      ? unknownRegion(member.name, member.problem)
      : observeRegion(member.observed, member.found, clock, patience);
  const { publicDatabase } = members[0].observed;
  const [regions, traffic] = await Promise.all([
    Promise.all(looked.map(observe)),
    publicDatabase === undefined ? undefined : observeTraffic(members[0].observed.traffic(), patience),
  ]);
  const active = activeOf(looked, regions);
  const base = { regions, traffic, problems: disagreements(regions) };
  if (active === undefined) return base;
  const standby = looked.find((member) => member !== active);
  const epochOfActive = regions.find(({ region }) => region === active.name)?.epoch;
  const [watched, readiness] = await Promise.all([
    watch(request, active, standby),
    standby && readinessOf(request, standby, epochOfActive),
  ]);
  return {
    ...base,
    active: { region: active.name, watched },
    ...(standby === undefined || readiness === undefined ? {} : { readiness: { region: standby.name, ...readiness } }),
  };
}

/** A member whose newest recovery point is being looked for, where it is known where to look. */
type LookedAt = (KnownMember & { readonly found: Promise<AskResult<FoundRecoveryPoint>> }) | UnknownMember;

/** The region that the newest epoch makes active, of those epochs that the two know. */
function activeOf(members: readonly LookedAt[], regions: readonly RegionStatus[]): LookedAt | undefined {
  const known = regions.filter(({ epoch }) => epoch !== undefined);
  const [knows] = known.sort((a, b) => (b.epoch ?? 0) - (a.epoch ?? 0));
  if (knows === undefined) return undefined;
  const active = knows.role === "active" ? knows : regions.find(({ region }) => region !== knows.region);
  return members.find((member) => member.name === active?.region);
}

async function watch(
  request: PairRequest,
  active: LookedAt,
  standby: LookedAt | undefined,
): Promise<Watched | undefined> {
  const { clock, patience = usualPatience, progress, seconds } = request;
  if (active.observed === undefined) return undefined;
  const looked = { region: active.observed, witness: standby?.observed, answerMs: patience.answerMs };
  return watchRegion({ ...looked, seconds, clock, progress });
}

async function readinessOf(
  { clock, patience = usualPatience, preview }: PairRequest,
  standby: LookedAt,
  otherEpoch: number | undefined,
): Promise<Readiness> {
  if (standby.observed === undefined) return assessReadiness(nothingKnown(standby.problem));
  const { backend, name, objectives, observed } = standby;
  const facts = await gatherReadiness({
    region: observed,
    found: await standby.found,
    objectives,
    otherEpoch,
    backend,
    preview: preview && (() => preview(name)),
    clock,
    patience,
  });
  return assessReadiness(facts);
}

function nothingKnown(problem: string): ReadinessFacts {
  const unknown = { problem };
  return {
    objectives: undefined,
    role: unknown,
    server: unknown,
    gate: unknown,
    recoveryPoint: unknown,
    keys: unknown,
    writable: unknown,
    traffic: unknown,
    machine: unknown,
    standby: unknown,
    restore: unknown,
    backend: unknown,
    drift: unknown,
    practice: unknown,
  };
}

function disagreements(regions: readonly RegionStatus[]): string[] {
  const epochs = new Set(regions.flatMap(({ epoch }) => (epoch === undefined ? [] : [epoch])));
  if (epochs.size < 2) return [];
  return ["the regions know different epochs: the newer one decides"];
}
