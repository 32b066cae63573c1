/** Describes what a failover or a switchover would do and cost, and what stands in its way, for people and programs. */

import { formatSeconds } from "../../domain/format.ts";
import { missingFrom, missingInWords } from "../../domain/recovery-points/missing.ts";
import { isExact } from "../../domain/recovery-points/recovery-point.ts";
import type { GateMode } from "../../domain/roles/gate.ts";
import { DrError } from "../../errors.ts";
import type { Blocker } from "../../workflows/failover/find-blockers.ts";
import type { Forecast, ServingForecast } from "../../workflows/failover/forecast-role-change.ts";
import type {
  FailoverPlan,
  ResumePlan,
  RoleChangePlan,
  SwitchoverPlan,
} from "../../workflows/failover/plan-failover.ts";
import type { Answer } from "./command.ts";
import { predictedFrom } from "./predicted-from.ts";
import type { PlanAnswer } from "./role-change-answer.ts";

/** Throws why nothing can be planned, with what stands in the way. */
export function describeForecast(forecast: Forecast): Answer<PlanAnswer> {
  if (forecast.kind === "ended") return describeEnded(forecast.plan);
  const { blockers } = forecast;
  const inTheWay = describeBlockers(blockers);
  if (forecast.kind === "impossible") {
    const { code, hint, message } = forecast.reason;
    throw new DrError(code, [message, ...inTheWay].join("\n"), { hint });
  }
  const { json, text } = forecast.kind === "serve" ? describeServing(forecast) : describeSwitchover(forecast.plan);
  return { json: { ...json, obstacles: blockers }, text: [text, ...inTheWay].join("\n") };
}

function describeEnded(plan: ResumePlan): Answer<PlanAnswer> {
  const { id: recoveryPoint, time: recoveryPointTime } = plan.serveFrom.recoveryPoint;
  return {
    json: { ...describePlan(plan), recoveryPoint, recoveryPointTime, obstacles: [] },
    text: `The ${plan.mode} to epoch ${plan.epoch} has ended: ${plan.region} is the active region; nothing is left to do`,
  };
}

function describeBlockers(blockers: readonly Blocker[]): string[] {
  const lines = (found: readonly Blocker[]) =>
    found.flatMap(({ detail, hint, region, what }) => [
      `    ${what} of ${region}: ${detail}`,
      ...(hint === undefined ? [] : [`      ${hint}`]),
    ]);
  const stopping = blockers.filter(({ stops }) => stops);
  const others = blockers.filter(({ stops }) => !stops);
  return [
    ...(stopping.length === 0
      ? ["  nothing that was looked at stands in the way"]
      : ["  in the way:", ...lines(stopping)]),
    ...(others.length === 0 ? [] : ["  and not as it should be:", ...lines(others)]),
  ];
}

type PlanWithoutObstacles = Omit<PlanAnswer, "obstacles">;

function describePlan(plan: RoleChangePlan): PlanWithoutObstacles {
  const { epoch, from, gateMode, region } = plan;
  const loss = plan.kind === "switchover" ? { dataLossSeconds: 0, dataLossSecondsOf: {} } : plan;
  return {
    region,
    from,
    epoch,
    continues: plan.kind === "resume",
    hasEnded: plan.kind === "resume" && plan.hasEnded,
    gateMode,
    dataLossSeconds: loss.dataLossSeconds,
    dataLossSecondsOf: loss.dataLossSecondsOf,
  };
}

function describeSwitchover(plan: SwitchoverPlan): Answer<PlanWithoutObstacles> {
  const text = [
    headOf(plan),
    `  ${plan.from} is fenced, its last writes are brought over and compared: nothing is lost, and writes pause`,
  ].join("\n");
  return { json: describePlan(plan), text };
}

function headOf({ epoch, kind, region }: RoleChangePlan): string {
  return `${kind === "resume" ? "Would go on with" : "Would begin"} epoch ${epoch}: ${region} becomes active`;
}

function describeServing({ plan, serving }: Extract<Forecast, { kind: "serve" }>): Answer<PlanWithoutObstacles> {
  const { dataLossSeconds, from, gateMode } = plan;
  const {
    absent,
    asOf,
    bytes,
    calibratedBy,
    doubt,
    isWarm,
    leaseSeconds,
    recoveryPoint,
    predictedSeconds,
    restoreSeconds,
  } = serving;
  const names = recoveryPoint.collections.map(({ name }) => name);
  const { excluded = [] } = recoveryPoint;
  const missing = missingFrom(recoveryPoint);
  const lease = leaseSeconds === 0 ? "" : `, with a lease that may take ${formatSeconds(leaseSeconds)} to run out`;
  const lines = [
    headOf(plan),
    isWarm
      ? `  serves ${recoveryPoint.id}, which its Qdrant held at ${asOf.toISOString()}: ${names.join(", ")}${lackingText(serving)}`
      : `  restores ${recoveryPoint.id} of ${recoveryPoint.startedAt}: ${names.join(", ")}; about ${formatSeconds(restoreSeconds)}`,
    `  clients are served about ${formatSeconds(predictedSeconds)} after the command${lease}${restoreSeconds === 0 ? "" : ` (${predictedFrom(calibratedBy)})`}`,
    `  writes acknowledged in the last ${formatSeconds(dataLossSeconds)} would be lost${lessOf(plan)}`,
    ...(doubt === undefined ? [] : [`  ${doubt}`]),
    ...(isExact(recoveryPoint) ? [] : ["  the state is provisional: acknowledged deletes may be undone in it"]),
    ...missing.map((each) => `  missing: ${missingInWords(each)}`),
    ...(absent.length === 0 ? [] : [`  would not be served at all: ${absent.join(", ")} (--accept-absent)`]),
    ...(excluded.length === 0 ? [] : [`  left out of the recovery point on purpose: ${excluded.join(", ")}`]),
    `  ${priceOf(from, gateMode)}`,
  ];
  const json = {
    ...describePlan(plan),
    recoveryPoint: recoveryPoint.id,
    recoveryPointTime: recoveryPoint.time,
    collections: names,
    missing,
    absent,
    excluded,
    isExact: isExact(recoveryPoint),
    isWarm,
    asOf: asOf.toISOString(),
    doubt,
    bytes,
    restoreSeconds,
    calibratedBy,
    predictedSeconds,
  };
  return { json, text: lines.join("\n") };
}

function lackingText({ lacking, recoveryPoint, restoreSeconds }: ServingForecast): string {
  if (lacking.length === 0) return "";
  return `; ${lacking.length} of ${recoveryPoint.collections.length} are not there and are restored in about ${formatSeconds(restoreSeconds)}`;
}

/** Names collections of faster tiers, which lose much less. Collections that were captured together are only seconds apart. */
function lessOf({ dataLossSeconds, dataLossSecondsOf }: FailoverPlan | ResumePlan): string {
  const less = Object.entries(dataLossSecondsOf).filter(([, seconds]) => seconds < dataLossSeconds / 2);
  if (less.length === 0) return "";
  const most = formatSeconds(Math.max(...less.map(([, seconds]) => seconds)));
  return `; of ${less.map(([name]) => name).join(", ")} those of the last ${most}`;
}

/** The price of the gate's setting when the other region lives and cannot be seen. */
function priceOf(from: string, gateMode: GateMode | undefined): string {
  if (gateMode === undefined) return `${from} has no gate: if it lives, clients that reach it go on writing there`;
  if (gateMode === "consistency") {
    return `${from} serves until its lease runs out, and this region not before: both never take writes at once`;
  }
  return `if ${from} lives and cannot see this region, its clients go on writing there until it does; \`qdrant-dr divergence\` shows what they wrote`;
}
