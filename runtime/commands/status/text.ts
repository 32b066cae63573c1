/** The state of a pair of regions in words. */
import { formatSeconds } from "../../domain/format.ts";
import { signalNames } from "../../domain/health/judge-region.ts";
import type { Readiness } from "../../domain/health/readiness.ts";
import type { PairStatus } from "../../workflows/status/observe-pair.ts";
import type { RegionStatus } from "../../workflows/status/observe-region.ts";

const marks = { good: "✓", poor: "!", bad: "✗", unknown: "?", "not asked": "-" } as const;

export function describeStatus({ active, problems, readiness, regions, traffic }: PairStatus): string {
  const led =
    traffic === undefined ? "no endpoint" : (traffic.problem ?? `clients are led to ${traffic.region ?? "nowhere"}`);
  return [
    ...regions.map(describeRegion),
    // Where there is one region, clients have nowhere else to be led.
    ...(regions.length === 1 && traffic === undefined ? [] : [`endpoint  ${led}`]),
    ...problems,
    ...describeActive(active),
    ...(readiness === undefined ? [] : describeReadiness(readiness)),
  ].join("\n");
}

function describeRegion({ epoch, newestRecoveryPoint, problems, qdrant, region, role }: RegionStatus): string {
  const server = qdrant.isReachable
    ? `Qdrant ${qdrant.version}, ${qdrant.collections} collections`
    : `Qdrant unreachable: ${qdrant.problem}`;
  const recoveryPoint =
    newestRecoveryPoint === undefined
      ? "no complete recovery point"
      : `newest complete recovery point is ${formatSeconds(newestRecoveryPoint.ageSeconds)} old: ${newestRecoveryPoint.id}`;
  return [`${region}  ${role}, epoch ${epoch ?? "unknown"}`, server, recoveryPoint, ...problems].join("\n  ");
}

function describeActive(active: PairStatus["active"]): string[] {
  if (active === undefined) return ["no region is known to be active"];
  const { region, watched } = active;
  if (watched === undefined) return [`${region} is active, and cannot be looked at from here`];
  const { judgement, look, looks } = watched;
  const { leaning, verdict } = judgement;
  const leans = leaning.verdict === verdict ? "" : `; the last ${leaning.looks} say ${leaning.verdict}`;
  return [
    looks === 1 ? `${region}: one look says ${leaning.verdict}` : `${region} is ${verdict} (${looks} looks${leans})`,
    ...signalNames.map((name) => {
      const { detail, state } = look.signals[name];
      return `  ${marks[state]} ${name.padEnd(8)}  ${detail}`;
    }),
  ];
}

function describeReadiness({ checks, region, score }: Readiness & { readonly region: string }): string[] {
  return [
    `readiness of ${region} to take over: ${score} of 100`,
    ...checks.flatMap(({ detail, hint, state, title }) => [
      `  ${marks[state]} ${title.padEnd(24)} ${detail}`,
      ...(hint === undefined ? [] : [`      ${hint}`]),
    ]),
  ];
}
