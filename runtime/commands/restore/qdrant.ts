/** The part of `restore` that brings collections back. */

import type { Deps } from "../../composition/deps.ts";
import { formatBytes, formatCount, formatSeconds } from "../../domain/format.ts";
import { missingBecause } from "../../domain/recovery-points/missing.ts";
import type { RecoveryPoint } from "../../domain/recovery-points/recovery-point.ts";
import { estimateRestore, type RestoreEstimate } from "../../workflows/apply/estimate-restore.ts";
import type { ApplyPlan } from "../../workflows/apply/plan-apply.ts";
import { planRestore } from "../../workflows/apply/plan-restore.ts";
import { restore } from "../../workflows/apply/restore.ts";
import { findTargetDefaults, type TargetDefaults } from "../../workflows/apply/target-defaults.ts";
import { attestRestored } from "../../workflows/attest-restored.ts";
import { planReplay, replay } from "../../workflows/journal/replay.ts";
import type { Answer } from "../shared/command.ts";
import { openRestoreTarget, type TargetOptions } from "../shared/named-qdrant.ts";
import { predictedFrom } from "../shared/predicted-from.ts";
import type { PlannedPart } from "./answer.ts";
import type { RestorePart, RestoreSources } from "./part.ts";

export interface QdrantOptions extends TargetOptions {
  readonly stack?: string;
  readonly collections?: readonly string[];
  readonly as?: string;
  readonly swapAlias?: string;
  readonly discardUnfinished?: boolean;
  readonly at?: Date;
  readonly dryRun?: boolean;
}

export async function planQdrant(
  deps: Deps,
  { recoveryPoint, repository, session }: RestoreSources,
  options: QdrantOptions,
): Promise<RestorePart> {
  const { target, targetName } = await openRestoreTarget(deps, session, options);
  const { clock, progress } = deps;
  const tools = { clock, progress, repository, target };
  const plan = await planRestore({
    ...tools,
    recoveryPoint,
    targetName,
    only: options.collections,
    as: options.as,
    swapAlias: options.swapAlias,
    discardUnfinished: options.discardUnfinished,
  });
  const isChosen = options.collections !== undefined || options.as !== undefined;
  const names = isChosen ? new Map(plan.collections.map(({ captured, name }) => [captured.name, name])) : undefined;
  const later =
    options.at === undefined ? undefined : await planReplay({ repository, recoveryPoint, until: options.at, names });
  const where = targetName ?? session.region.region;
  // A restore finds them out collection by collection, and tells them or is refused.
  const defaults = options.dryRun ? await findTargetDefaults(target, plan.collections) : { differences: [] };
  return {
    planned: describePlan(recoveryPoint, where, plan, await estimateRestore(repository, plan), defaults),
    impossible: (plan.impossible ?? []).map(({ name, problem }) => missingBecause({ kind: "qdrant", name }, problem)),
    run: async () => {
      const beforeAliases = later && (() => replay(tools, later));
      const run = { ...tools, beforeAliases, onInterrupt: deps.onInterrupt, runner: deps.runner.mark };
      const report = await restore(run, plan);
      if (options.collections === undefined && (plan.impossible ?? []).length === 0) {
        await attestRestored({ ...tools, region: session.region.region }, recoveryPoint, report);
      }
      const {
        canaries,
        collections,
        points,
        recoveryPoint: restored,
        samples,
        seconds,
        skipped,
        swapped,
        time,
      } = report;
      const text = [
        `${restored} of ${time} restored into ${where} in ${formatSeconds(seconds)}`,
        `  ${formatCount(points)} points in ${formatCount(collections)} collections`,
        `  counts, ${formatCount(samples)} sampled points and ${formatCount(canaries)} canary queries are as captured`,
        ...skipped.map((sentence) => `  ${sentence}`),
        ...(swapped === undefined ? [] : [`  ${swapInWords(swapped, "leads", "led")}`]),
        ...(later === undefined
          ? []
          : [`  then brought to ${later.until.toISOString()} by ${later.entries} entries of the journal`]),
      ].join("\n");
      return { json: { collections, points, samples, canaries, skipped, swapped, seconds }, text };
    },
  };
}

function describePlan(
  recoveryPoint: RecoveryPoint,
  where: string,
  plan: ApplyPlan,
  estimate: RestoreEstimate,
  { differences, problem }: TargetDefaults,
): Answer<PlannedPart> {
  const { swap } = plan;
  const aliases = [...plan.aliases.wanted];
  const discard = plan.collections.filter(({ action }) => action === "replace").map(({ name }) => name);
  const { bytes, calibratedBy, collections, predictedSeconds, rates } = estimate;
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
    ...differences.map(({ collection, difference, isRefused }) => {
      const consequence = isRefused ? "the restore would be refused" : "it only changes how fast it answers";
      return `${collection}: by the target's own defaults ${difference}: ${consequence}`;
    }),
    ...(problem === undefined ? [] : [`the target's own defaults are not known: ${problem}`]),
    `about ${formatSeconds(predictedSeconds)}: ${formatBytes(bytes)} at ${formatBytes(rates.bytesPerSecond)}/s, and ${formatSeconds(rates.secondsPerCollection)} a collection, ${formatSeconds(rates.secondsPerShard)} a shard, ${predictedFrom(calibratedBy)}`,
  ].join("\n  ");
  const json = {
    target: where,
    collections,
    discard,
    aliases,
    swap,
    bytes,
    predictedSeconds,
    rates,
    calibratedBy,
    ...(differences.length === 0 ? {} : { defaults: differences }),
  };
  return { json, text };
}

function swapInWords({ alias, from, to }: NonNullable<ApplyPlan["swap"]>, now: string, before: string): string {
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
