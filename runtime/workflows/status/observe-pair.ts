/** The state of both regions, whether the active one serves, and how ready the other one is to take over. */
import { assessReadiness, type Readiness, type ReadinessFacts } from "../../domain/health/readiness.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Progress } from "../../ports/progress.ts";
import { gatherReadiness } from "./gather-readiness.ts";
import { observeRegion, observeTraffic, type RegionStatus, unknownRegion } from "./observe-region.ts";
import {
  type FoundRecoveryPoint,
  findNewestRecoveryPoint,
  type ObservedRegion,
  type Outcome,
  type Timeouts,
  patience as usualPatience,
} from "./observed-region.ts";
import { type Watched, watchRegion } from "./watch-region.ts";

/** One of the two, as far as it is known where it is. */
export interface PairMember {
  readonly name: string;
  readonly observed: ObservedRegion | undefined;
  /** Why it is not known. */
  readonly problem?: string;
  readonly objectives?: ReadinessFacts["objectives"];
  readonly backend: ReadinessFacts["backend"];
}

export interface PairRequest {
  /** The one that was named, then its peer. */
  readonly members: readonly [PairMember & { readonly observed: ObservedRegion }, PairMember];
  /** For how long the active region is looked at. */
  readonly seconds: number;
  /** Asks Pulumi what `up` of a stack would change; absent: nobody asked for it. */
  readonly preview?: (stack: string) => Promise<{ readonly changes: Readonly<Record<string, number>> }>;
  readonly clock: Clock;
  readonly progress: Progress;
  readonly patience?: Timeouts;
}

export interface PairStatus {
  readonly regions: readonly [RegionStatus, RegionStatus];
  readonly traffic: { readonly region?: string; readonly epoch?: number; readonly problem?: string } | undefined;
  /** Absent when no region is known to be active. */
  readonly primary?: { readonly region: string; readonly watched: Watched | undefined };
  /** Of the region that is not active. */
  readonly readiness?: Readiness & { readonly region: string };
  readonly problems: readonly string[];
}

export async function observePair(request: PairRequest): Promise<PairStatus> {
  const { clock, members, patience = usualPatience } = request;
  const [here, there] = members;
  const recoveryPoints = members.map(({ observed }) => observed && findNewestRecoveryPoint(observed, clock, patience));
  const observe = ({ name, observed, problem }: PairMember, index: number) => {
    const reading = recoveryPoints[index];
    if (observed === undefined || reading === undefined) return unknownRegion(name, problem ?? "it is not known here");
    return observeRegion(observed, reading, clock, patience);
  };
  const hasPublicName = here.observed.publicDatabase !== undefined;
  const [first, second, traffic] = await Promise.all([
    observe(here, 0),
    observe(there, 1),
    hasPublicName ? observeTraffic(here.observed.traffic(), patience) : undefined,
  ]);
  const regions = [first, second] as const;
  const active = activeOf(members, regions);
  const base = { regions, traffic, problems: disagreements(regions) };
  if (active === undefined) return base;
  const standby = active === here ? there : here;
  const epochOfActive = regions.find(({ region }) => region === active.name)?.epoch;
  const [watched, readiness] = await Promise.all([
    watch(request, active, standby),
    readinessOf(request, standby, await recoveryPoints[members.indexOf(standby)], epochOfActive),
  ]);
  return {
    ...base,
    primary: { region: active.name, watched },
    readiness: { region: standby.name, ...readiness },
  };
}

/** By the newest epoch that any of them knows. */
function activeOf(members: readonly PairMember[], [a, b]: PairStatus["regions"]): PairMember | undefined {
  if (a.epoch === undefined && b.epoch === undefined) return undefined;
  const knows = (b.epoch ?? 0) > (a.epoch ?? 0) ? b : a;
  const other = knows === a ? b : a;
  const name = knows.role === "active" ? knows.region : other.region;
  return members.find((member) => member.name === name);
}

async function watch(request: PairRequest, active: PairMember, standby: PairMember): Promise<Watched | undefined> {
  const { clock, patience = usualPatience, progress, seconds } = request;
  if (active.observed === undefined) return undefined;
  const looked = { region: active.observed, witness: standby.observed, answerMs: patience.answerMs };
  return watchRegion({ ...looked, seconds, clock, progress });
}

async function readinessOf(
  { clock, patience = usualPatience, preview }: PairRequest,
  standby: PairMember,
  found: Outcome<FoundRecoveryPoint> | undefined,
  otherEpoch: number | undefined,
): Promise<Readiness> {
  const { backend, name, objectives, observed, problem = "it is not known here" } = standby;
  if (observed === undefined || objectives === undefined || found === undefined)
    return assessReadiness(nothingKnown(problem));
  const asked = preview === undefined ? {} : { preview: () => preview(name) };
  const request = { region: observed, found, objectives, otherEpoch, backend, clock, patience, ...asked };
  return assessReadiness(await gatherReadiness(request));
}

function nothingKnown(problem: string): ReadinessFacts {
  const unknown = { problem };
  const facts = [
    "role",
    "server",
    "gate",
    "recoveryPoint",
    "keys",
    "writable",
    "traffic",
    "machine",
    "standby",
    "restore",
  ] as const;
  const rest = ["backend", "drift", "practice"] as const;
  const all = Object.fromEntries([...facts, ...rest].map((name) => [name, unknown]));
  return { ...(all as Omit<ReadinessFacts, "objectives">), objectives: { rtoMinutes: 0, rpoMinutes: 0 } };
}

function disagreements([a, b]: PairStatus["regions"]): string[] {
  if (a.epoch === undefined || b.epoch === undefined || a.epoch === b.epoch) return [];
  return ["the regions know different epochs: the newer one decides"];
}
