/** The part of `restore` that brings collections back. */
import type { Deps } from "../../composition/deps.ts";
import { formatBytes, formatCount, formatSeconds } from "../../domain/format.ts";
import type { RecoveryPoint } from "../../domain/recovery-points/recovery-point.ts";
import { restoreRates } from "../../domain/recovery-points/restore-estimate.ts";
import { estimateRestore, type RestoreEstimate } from "../../workflows/restore/estimate-restore.ts";
import { executeRestore, planRestore, type RestorePlan } from "../../workflows/restore/restore-recovery-point.ts";
import type { Answer } from "../shared/command.ts";
import { openRestoreTarget, type TargetOptions } from "../shared/named-qdrant.ts";
import type { PlannedPart } from "./answer.ts";
import type { RestorePart, RestoreSources } from "./part.ts";

export interface QdrantOptions extends TargetOptions {
  readonly stack: string;
  readonly collections?: readonly string[];
  readonly as?: string;
  readonly swapAlias?: string;
  readonly discardUnfinished?: boolean;
}

export async function planQdrant(
  deps: Deps,
  { recoveryPoint, repository, session }: RestoreSources,
  options: QdrantOptions,
): Promise<RestorePart> {
  const { target, targetName } = await openRestoreTarget(deps, session, options);
  const request = {
    ...deps,
    repository,
    recoveryPoint,
    target,
    ...(targetName === undefined ? {} : { targetName }),
    ...(options.collections === undefined ? {} : { only: options.collections }),
    ...(options.as === undefined ? {} : { as: options.as }),
    ...(options.swapAlias === undefined ? {} : { swapAlias: options.swapAlias }),
    discardUnfinished: options.discardUnfinished ?? false,
  };
  const plan = await planRestore(request);
  const where = targetName ?? options.stack;
  return {
    planned: describePlan(recoveryPoint, where, plan, await estimateRestore(repository, plan)),
    run: async () => {
      const { recoveryPoint: restored, time, ...report } = await executeRestore(request, plan);
      const text = [
        `${restored} of ${time} restored into ${where} in ${formatSeconds(report.seconds)}`,
        `  ${formatCount(report.points)} points in ${formatCount(report.collections)} collections`,
        `  counts, ${formatCount(report.samples)} sampled points and ${formatCount(report.canaries)} canary queries are as captured`,
        ...(report.swapped === undefined ? [] : [`  ${swapInWords(report.swapped, "leads", "led")}`]),
      ].join("\n");
      return { json: report, text };
    },
  };
}

function describePlan(
  recoveryPoint: RecoveryPoint,
  where: string,
  plan: RestorePlan,
  estimate: RestoreEstimate,
): Answer<PlannedPart> {
  const { aliases, discard, swap } = plan;
  const { bytes, collections, predictedSeconds } = estimate;
  const rows = collections.map(({ captured, ...collection }) => [
    captured === collection.name ? captured : `${captured} as ${collection.name}`,
    `${formatCount(collection.points)} points`,
    `${formatCount(collection.shards)} shards`,
    formatBytes(collection.bytes),
    collection.isExact ? "" : "not known to be exact",
  ]);
  const text = [
    `${recoveryPoint.id} of ${recoveryPoint.startedAt} into ${where}:`,
    ...aligned(rows),
    ...(discard.length === 0 ? [] : [`first removed, half-made by an earlier restore: ${discard.join(", ")}`]),
    ...(aliases.length === 0 ? [] : [`aliases: ${aliases.map(({ alias }) => alias).join(", ")}`]),
    ...(swap === undefined ? [] : [swapInWords(swap, "will lead", "leads")]),
    `about ${formatSeconds(predictedSeconds)}: ${formatBytes(bytes)} at ${formatBytes(restoreRates.bytesPerSecond)}/s, and ${formatSeconds(restoreRates.secondsPerCollection)} a collection, ${formatSeconds(restoreRates.secondsPerShard)} a shard`,
  ].join("\n  ");
  const json = {
    target: where,
    collections,
    discard,
    aliases,
    ...(swap === undefined ? {} : { swap }),
    bytes,
    predictedSeconds,
    rates: restoreRates,
  };
  return { json, text };
}

function swapInWords({ alias, from, to }: NonNullable<RestorePlan["swap"]>, now: string, before: string): string {
  return `the alias ${alias} ${now} to ${to}; ${from === undefined ? "it did not exist" : `it ${before} to ${from}`}`;
}

function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths = rows.reduce<number[]>((most, row) => row.map((cell, n) => Math.max(most[n] ?? 0, cell.length)), []);
  return rows.map((row) =>
    row
      .map((cell, n) => cell.padEnd(widths[n] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}
