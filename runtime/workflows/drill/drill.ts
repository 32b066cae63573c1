/**
 * Rehearses the loss of the active region: promotes a throwaway region by the steps of a failover, asks it, and throws it away. The
 * throwaway region has a control store in memory, which knows of the real one its keys and its epochs until now; a gate that nobody
 * reaches; and a Qdrant that is empty afterwards. Neither region, its clients nor its replication notice anything.
 */
import { randomUUID } from "node:crypto";
import type { DrillFindings } from "../../domain/drill-evidence.ts";
import type { RecoveryPoint } from "../../domain/recovery-points/recovery-point.ts";
import { parseControlKey } from "../../domain/recovery-points/store-layout.ts";
import { peerOf } from "../../domain/region.ts";
import { leaseEndsAfter } from "../../domain/roles/gate.ts";
import type { TimedStep } from "../../domain/timed-step.ts";
import { DrError } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { Progress } from "../../ports/progress.ts";
import type { VectorDatabase } from "../../ports/qdrant.ts";
import type { Runner } from "../../ports/runner.ts";
import { readStandbyState, recordHeld } from "../../repository/control/standby-records.ts";
import { RehearsalStore } from "../../repository/rehearsal-store.ts";
import { OpenRepository } from "../../repository/repository.ts";
import { allCaptured, estimateRestore } from "../apply/estimate-restore.ts";
import { failOver, type RoleChangeReport } from "../failover/fail-over.ts";
import { type FailoverPlan, planFailover } from "../failover/plan-failover.ts";
import { slowestQuery } from "../failover/slowest-query.ts";
import type { StepName } from "../failover/step-names.ts";
import type { RegionSession } from "../region-session.ts";
import { applyToStandby } from "../replicate/apply-to-standby.ts";
import { searchIn } from "../test-restore.ts";
import { ThrowawayGate } from "./throwaway-gate.ts";
import { ThrowawayQdrant } from "./throwaway-qdrant.ts";

export interface DrillRequest {
  /** The region whose promotion is rehearsed. */
  readonly session: Pick<RegionSession, "region" | "repository" | "stores" | "wrap">;
  /** A Qdrant of nobody's. */
  readonly target: VectorDatabase;
  readonly targetName: string;
  readonly runner: Runner;
  readonly clock: Clock;
  readonly progress: Progress;
  readonly onStep?: ((step: TimedStep) => void) | undefined;
  onInterrupt?(clean: () => Promise<void>): () => void;
}

export interface DrillReport extends DrillFindings {
  /** The region whose promotion was rehearsed. */
  readonly region: string;
  readonly recoveryPointTime: string;
  readonly steps: readonly TimedStep[];
  readonly startedAt: string;
  /** From the start of the drill to its end. */
  readonly seconds: number;
}

/** @throws ROLE_REFUSES in the active region, and whatever a failover would throw. */
export async function drill(request: DrillRequest): Promise<DrillReport> {
  const { clock, onInterrupt, session } = request;
  const begunMs = clock.monotonic();
  const startedAt = clock.now().toISOString();
  const real = (await session.repository()).withStream();
  const plan = await planFailover({ region: session.region, repository: real, clock });
  if (plan.kind === "resume") {
    throw new DrError("ROLE_REFUSES", `${plan.region} is the active region already (epoch ${plan.epoch})`, {
      hint: `rehearse the promotion of the other region: drill --to ${plan.from}`,
    });
  }
  const { recoveryPoint } = plan.serveFrom;
  const { bytes } = await estimateRestore(real, allCaptured(recoveryPoint));
  const throwaway = await ThrowawayQdrant.take({ ...request, control: session.stores.control }, recoveryPoint, bytes);
  // What comes after the interruption is removed by the next drill: its end is not recorded.
  const withdraw = onInterrupt?.(() => throwaway.empty());
  let rehearsed: Rehearsed;
  try {
    rehearsed = await rehearse(request, plan);
  } catch (error) {
    await throwaway.empty().then(
      () => throwaway.end(false),
      () => undefined,
    );
    throw error;
  } finally {
    withdraw?.();
  }
  await throwaway.empty();
  await throwaway.end(true);
  const { openedAfter, report, searches, slowestSearchMs } = rehearsed;
  return {
    region: plan.region,
    from: plan.from,
    recoveryPoint: recoveryPoint.id,
    recoveryPointTime: recoveryPoint.time,
    rtoSeconds: openedAfter,
    rpoSeconds: plan.dataLossSeconds,
    isExact: report.isExact,
    isWarm: plan.serveFrom.isWarm,
    absent: report.absent,
    points: report.points,
    searches,
    slowestSearchMs,
    notRehearsed: notRehearsedOf(request, plan),
    steps: report.steps,
    startedAt,
    seconds: (clock.monotonic() - begunMs) / 1000,
  };
}

interface Rehearsed {
  readonly report: RoleChangeReport;
  readonly openedAfter: number;
  readonly searches: number;
  readonly slowestSearchMs: number;
}

async function rehearse(request: DrillRequest, plan: FailoverPlan): Promise<Rehearsed> {
  const { clock, onStep, progress, runner, session, target } = request;
  const { region } = session;
  const repository = await throwawayRepository(request, plan);
  if (plan.serveFrom.isWarm) await seed(request, plan, repository);
  const gate = region.gate && new ThrowawayGate(region.region, repository.stores.control);
  const planned = await planFailover({ region, repository, clock });
  if (planned.kind === "resume") throw new Error("the throwaway region was promoted by nobody yet");
  const report = await failOver(
    {
      kind: "failover",
      stack: region.region,
      region,
      repository,
      database: target,
      gate,
      traffic: undefined,
      stacks: undefined,
      lostControl: undefined,
      // Nothing is lost: the drill is there to tell how much would be.
      acceptedDataLossSeconds: Number.POSITIVE_INFINITY,
      acceptedAbsent: planned.serveFrom.absent,
      onStep,
      run: randomUUID(),
      runner,
      clock,
      progress,
    },
    planned,
  );
  const searches = await askIndexes(request, repository, planned.serveFrom.recoveryPoint);
  const { ms } = await slowestQuery(target);
  return { report, openedAfter: openedAfter(request, report), searches, slowestSearchMs: ms };
}

/** Keys, wrapped again too, and where what was healed stands. */
const givenKinds: ReadonlySet<string> = new Set(["key", "key-for", "key-generation", "heal"]);

/** What is written to it stays in memory. Of the control store it knows what a region in a new place would be given. */
async function throwawayRepository({ session }: DrillRequest, { epoch }: FailoverPlan): Promise<OpenRepository> {
  const { control, repository } = session.stores;
  const isSeen = (key: string) => {
    const parsed = parseControlKey(key);
    if (parsed?.kind === "epoch") return parsed.epoch < epoch;
    return parsed !== undefined && givenKinds.has(parsed.kind);
  };
  const stores = { repository: new RehearsalStore(repository), control: new RehearsalStore(control, isSeen) };
  return (await OpenRepository.open(stores, session.wrap)).withStream();
}

/** Brings the throwaway Qdrant to what the region's own one holds, as replication would have; it was brought there a moment ago. */
async function seed(
  { clock, progress, session, target }: DrillRequest,
  { serveFrom: { asOf, recoveryPoint } }: FailoverPlan,
  repository: OpenRepository,
): Promise<void> {
  progress({ step: "seed", detail: `bring the throwaway Qdrant to ${recoveryPoint.id}, as the standby holds it` });
  const { control } = repository.stores;
  await applyToStandby({
    ...{ repository, recoveryPoint, target, asOf, clock, progress },
    region: session.region.region,
    existing: "refuse",
    compare: "changed",
  });
  const held = await readStandbyState(control, clock.now());
  if (held === undefined) throw new Error("what was brought is recorded");
  const now = clock.now().toISOString();
  await recordHeld(control, { ...held, at: now, asOf: now, followedAt: now });
}

/** As clients search. */
async function askIndexes(
  { progress, target }: DrillRequest,
  repository: OpenRepository,
  { collections, id }: RecoveryPoint,
): Promise<number> {
  progress({ step: "search", detail: `ask each collection of ${id} by its index` });
  let searches = 0;
  for (const captured of collections) searches += (await searchIn(target, repository, captured, captured.name)).found;
  return searches;
}

/** Seconds from the command until the gate is open, a lease of the lost region included. */
function openedAfter({ session: { region } }: DrillRequest, { steps }: RoleChangeReport): number {
  const until = (last: StepName) => {
    const at = steps.findIndex(({ name }) => name === last);
    return steps.slice(0, at + 1).reduce((sum, { seconds }) => sum + seconds, 0);
  };
  const lease = region.gate?.mode === "consistency" ? region.gate.lease : undefined;
  return Math.max(until("open"), lease === undefined ? 0 : until("epoch") + leaseEndsAfter(lease.seconds));
}

function notRehearsedOf({ session: { region } }: DrillRequest, { serveFrom }: FailoverPlan): string[] {
  return [
    ...(serveFrom.followed === undefined ? [] : [`the rest of the journal of ${peerOf(region)} is not applied`]),
    ...(region.endpoint === undefined ? [] : ["the public name is not moved"]),
  ];
}
