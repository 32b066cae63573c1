/** What a failover would do, cost and meet, for people and programs. */
import type { RegionAccess } from "../adapters/access.ts";
import type { Deps, RegionOptions } from "../compose.ts";
import { formatSeconds } from "../domain/format.ts";
import { isExact } from "../domain/recovery-points/recovery-point.ts";
import { predictedFailoverSeconds } from "../domain/recovery-points/restore-estimate.ts";
import { type GateMode, leaseEndsAfter } from "../domain/roles/gate.ts";
import { DrError, hasCode, toDrError } from "../errors.ts";
import type { OpenRepository } from "../repository/repository.ts";
import { findObstacles, type Obstacle } from "../workflows/failover/find-obstacles.ts";
import { type FailoverPlan, planFailover } from "../workflows/failover/plan-failover.ts";
import { estimateRestore } from "../workflows/restore/estimate-restore.ts";
import type { Answer } from "./command.ts";
import { knowPeer, memberOf } from "./pair-member.ts";

interface PlanOptions extends RegionOptions {
  readonly planned?: boolean;
  readonly point?: string;
}

export async function tellPlan(deps: Deps, access: RegionAccess, options: PlanOptions): Promise<Answer> {
  const planned = await planWith(deps, access, options);
  if (planned instanceof DrError && hasCode(planned, "ROLE_REFUSES", "ROLE_UNKNOWN")) throw planned;
  if (!(planned instanceof DrError) && planned.plan.hasEnded) return describeEnded(planned.plan);
  const active = options.planned ? await knowPeer(access.region.peer, deps, options) : undefined;
  const continues = !(planned instanceof DrError) && planned.plan.continues;
  const obstacles = await findObstacles({ target: memberOf(access, options), active, continues, clock: deps.clock });
  const inTheWay = describeObstacles(obstacles);
  if (planned instanceof DrError) {
    const { code, hint, message } = planned;
    throw new DrError(code, [message, ...inTheWay].join("\n"), hint === undefined ? {} : { hint });
  }
  const { json, text } = await describePlan(planned.plan, planned.repository, access);
  return { json: { ...json, obstacles }, text: [text, ...inTheWay].join("\n") };
}

/** Or why nothing can be planned. */
async function planWith(
  { clock }: Deps,
  access: RegionAccess,
  { planned: isPlanned = false, point }: PlanOptions,
): Promise<{ readonly plan: FailoverPlan; readonly repository: OpenRepository } | DrError> {
  try {
    const repository = await access.repository();
    return { plan: await planFailover({ region: access.region, repository, isPlanned, point, clock }), repository };
  } catch (error) {
    return toDrError(error);
  }
}

function describeEnded({ held, ...plan }: FailoverPlan): Answer {
  const text = `The failover to epoch ${plan.epoch} has ended: ${plan.region} is the active region; nothing is left to do`;
  return { json: { ...plan, point: held && { id: held.point.id, time: held.point.time }, obstacles: [] }, text };
}

function describeObstacles(obstacles: readonly Obstacle[]): string[] {
  const lines = (found: readonly Obstacle[]) =>
    found.flatMap(({ detail, hint, region, what }) => [
      `    ${what} of ${region}: ${detail}`,
      ...(hint === undefined ? [] : [`      ${hint}`]),
    ]);
  const stopping = obstacles.filter(({ stops }) => stops);
  const others = obstacles.filter(({ stops }) => !stops);
  return [
    ...(stopping.length === 0
      ? ["  nothing that was looked at stands in the way"]
      : ["  in the way:", ...lines(stopping)]),
    ...(others.length === 0 ? [] : ["  and not as it should be:", ...lines(others)]),
  ];
}

/** None when it does not answer: then it has to be brought everything. */
async function collectionsOf({ database }: RegionAccess): Promise<ReadonlySet<string>> {
  return new Set(await database.collections().catch(() => []));
}

function lackingText(names: readonly string[], lacking: number, restoreSeconds: number): string {
  if (lacking === 0) return "";
  return `; ${lacking} of ${names.length} are not there and are restored in about ${formatSeconds(restoreSeconds)}`;
}

async function describePlan(plan: FailoverPlan, repository: OpenRepository, access: RegionAccess): Promise<Answer> {
  const { gate } = access.region;
  const { continues, dataLossSeconds, epoch, from, gateMode, held, region } = plan;
  const verb = continues ? "Would go on with" : "Would begin";
  const lines = [`${verb} epoch ${epoch}: ${region} becomes active`];
  if (held === undefined) {
    lines.push(`  ${from} is fenced, its last writes are brought over and compared: nothing is lost, and writes pause`);
    return { json: { ...plan, isPlanned: true }, text: lines.join("\n") };
  }
  const { asOf, isWarm, point } = held;
  const names = point.collections.map(({ name }) => name);
  const present = isWarm ? await collectionsOf(access) : new Set();
  const lacking = point.collections.filter(({ name }) => !present.has(name));
  const collections = lacking.map((captured) => ({ captured, name: captured.name }));
  const estimate = await estimateRestore(repository, { collections, discard: [], aliases: [] });
  const { bytes, predictedSeconds: restoreSeconds } = estimate;
  const leaseSeconds = gate?.mode === "consistency" && gate.lease ? leaseEndsAfter(gate.lease.seconds) : 0;
  const predictedSeconds = predictedFailoverSeconds({ restoreSeconds, leaseSeconds });
  const lease = leaseSeconds === 0 ? "" : `, with a lease that may take ${formatSeconds(leaseSeconds)} to run out`;
  const served = `  serves ${point.id}, which its Qdrant held at ${asOf.toISOString()}: ${names.join(", ")}`;
  lines.push(
    isWarm
      ? `${served}${lackingText(names, lacking.length, restoreSeconds)}`
      : `  restores ${point.id} of ${point.startedAt}: ${names.join(", ")}; about ${formatSeconds(restoreSeconds)}`,
    `  clients are served about ${formatSeconds(predictedSeconds)} after the command${lease}`,
    `  writes acknowledged in the last ${formatSeconds(dataLossSeconds)} would be lost${lessOf(plan)}`,
  );
  if (!isExact(point)) lines.push("  the state is provisional: acknowledged deletes may be undone in it");
  lines.push(`  ${priceOf(from, gateMode)}`);
  const shown = { id: point.id, time: point.time, collections: names, isExact: isExact(point) };
  const { held: _held, ...rest } = plan;
  const facts = {
    isWarm,
    asOf: asOf.toISOString(),
    bytes,
    restoreSeconds,
    predictedSeconds,
  };
  return { json: { ...rest, isPlanned: false, point: shown, ...facts }, text: lines.join("\n") };
}

/** Collections of other tiers lose less: those that were captured together are seconds apart, too, and are not named for that. */
function lessOf({ dataLossSeconds, dataLossSecondsOf }: FailoverPlan): string {
  const less = Object.entries(dataLossSecondsOf).filter(([, seconds]) => seconds < dataLossSeconds / 2);
  if (less.length === 0) return "";
  const most = formatSeconds(Math.max(...less.map(([, seconds]) => seconds)));
  return `; of ${less.map(([name]) => name).join(", ")} those of the last ${most}`;
}

/** What the guard's setting costs when the region that is given up lives and cannot be seen. */
function priceOf(from: string, gateMode: GateMode | undefined): string {
  if (gateMode === undefined) return `${from} has no gate: if it lives, clients that reach it go on writing there`;
  if (gateMode === "consistency") {
    return `${from} serves until its lease runs out, and this region not before: both never take writes at once`;
  }
  return `if ${from} lives and cannot see this region, its clients go on writing there until it does; \`--divergence\` tells what`;
}
