import type { RegionAccess } from "../adapters/access.ts";
import type { Deps, RegionOptions } from "../compose.ts";
import { formatBytes, formatCount, formatSeconds } from "../domain/format.ts";
import { type DataKind, dataKinds, type RecoveryPoint } from "../domain/recovery-points/recovery-point.ts";
import { restoreRates } from "../domain/recovery-points/restore-estimate.ts";
import { DrError } from "../errors.ts";
import type { OpenRepository } from "../repository/repository.ts";
import { estimateRestore, type RestoreEstimate } from "../workflows/restore/estimate-restore.ts";
import { planRestore, type RestorePlan, restorePoint } from "../workflows/restore/restore-point.ts";
import { type Answer, type CommandDefinition, exitCodesHelp, parseKinds, regionOptions } from "./command.ts";
import { findPoint } from "./find-point.ts";
import { recordedRun } from "./recorded-run.ts";
import { type FolderOptions, parseFolder, parsePath, planFolders } from "./restore-folders.ts";
import {
  type ClusterOptions,
  isForCluster,
  planInfrastructure,
  refuseClusterOptions,
} from "./restore-infrastructure.ts";
import { openTarget, type TargetOptions } from "./restore-target.ts";

interface Options extends RegionOptions, TargetOptions, FolderOptions, ClusterOptions {
  readonly stack: string;
  readonly point: string;
  readonly only?: readonly DataKind[];
  readonly collections?: string;
  readonly as?: string;
  readonly swapAlias?: string;
  readonly discardUnfinished?: boolean;
  readonly dryRun?: boolean;
}

const help = `
A restore never replaces a collection that exists: it may be the only copy.
  A deleted collection          restore --stack prod --collections notes
  A corrupted one               restore --stack prod --collections notes --as notes_2 --swap-alias current-notes
    (clients that use the alias are on the restored one from the moment it is compared; without an alias, delete the
    collection yourself, then restore it)
  As it was in the past         restore --stack prod --point 2026-05-31T14:30:00Z --collections notes --as notes_may
  Into another Qdrant           QDRANT_API_KEY=… restore --stack prod --to http://10.0.0.5:6333,http://10.0.0.6:6333
  Configuration and user data   restore --stack prod --only config,user-data --into /tmp/restored
  The same, where they belong   restore --stack prod --only config,user-data --in-place
  Infrastructure, as files      restore --stack prod --only infrastructure --into /tmp/restored
  The same, to a cluster        restore --stack prod --only infrastructure --context dr --dry-run
    (what would change is shown first; fields that others set are taken over only with --force-conflicts; nothing is
    deleted, and states of Pulumi stacks are never imported: that is done by hand, from the files)
Number of nodes and placement of shards may differ. Keep clients away from what is being restored: what they write before
its shards have come is gone.`;

export const restore: CommandDefinition<Options> = {
  name: "restore",
  summary: "restore a recovery point from a region's bucket into a Qdrant, which must not hold the collections",
  configure: (command) =>
    regionOptions(command)
      .requiredOption("--stack <name>", "stack whose bucket is read, and whose Qdrant is filled unless --to is given")
      .option(
        "--point <id>",
        "a recovery point, latest, or a time: the newest point that was begun then or before",
        "latest",
      )
      .option(
        "--to <urls>",
        "another Qdrant: the URLs of its peers, with their ports, separated by commas; its key is in QDRANT_API_KEY",
      )
      .option("--api-key-file <file>", "read the key of that Qdrant from this file")
      .option(
        "--only <kinds>",
        `what to restore, separated by commas: ${dataKinds.join(", ")}; qdrant alone when left out`,
        parseKinds,
      )
      .option("--collections <names>", "only these, separated by commas")
      .option("--as <name>", "restore the one collection under this name, beside a live one")
      .option("--swap-alias <alias>", "then, when it is compared, let this alias lead to it")
      .option(
        "--folder <name=path>",
        "restore this folder of config or user-data there; can be given again",
        parseFolder,
      )
      .option("--into <path>", "restore folders below this one, each under its name", parsePath)
      .option(
        "--context <name>",
        "apply infrastructure to the cluster of this kubeconfig context, not to the region's own",
      )
      .option("--kubeconfig <file>", "with --context: the kubeconfig that has it", parsePath)
      .option("--force-conflicts", "apply infrastructure also over fields that others set to other values")
      .option("--in-place", "restore folders where they belong, and keep what is there as <path>.before-<point>")
      .option("--discard-unfinished", "throw away what an earlier restore that was cut off left half-made")
      .option("--dry-run", "say what would be done, and change nothing")
      .addHelpText(
        "after",
        help +
          "\n" +
          exitCodesHelp(
            [2, "wrong option, or versions that do not fit"],
            [5, "a server does not answer, or refuses what it is asked"],
            [10, "no such point, or it is not complete"],
            [11, "the target holds such a collection; nothing was changed"],
            [12, "what was restored is not what was captured"],
          ),
      ),
  async run(deps, options) {
    const kinds = options.only ?? ["qdrant"];
    refuseFolderOptions(kinds, options);
    refuseClusterOptions(kinds, options);
    const access = await deps.access(options.stack, options);
    const work = () => restoreFrom(deps, access, kinds, options);
    // Into another Qdrant than the region's own, it proves that the points can be restored.
    const isTest = options.to !== undefined && !options.dryRun;
    return isTest ? recordedRun(deps, access, "test-restore", work) : work();
  },
};

async function restoreFrom(
  deps: Deps,
  access: RegionAccess,
  kinds: readonly DataKind[],
  options: Options,
): Promise<Answer> {
  const repository = await access.repository();
  const point = await findPoint(repository, options.point, kinds);
  const sources = { access, repository, point };
  const isApplied = isForCluster(kinds, options);
  const folderKinds = kinds
    .filter((kind) => kind !== "qdrant")
    .filter((kind) => !isApplied || kind !== "infrastructure");
  // Everything is planned before anything is touched.
  const parts = [
    ...(kinds.includes("qdrant") ? [await planQdrant(deps, sources, options)] : []),
    ...(folderKinds.length > 0 ? [await planFolders(deps, sources, folderKinds, options)] : []),
    // Last: workloads that are started find their data.
    ...(isApplied ? [await planInfrastructure(deps, sources, options)] : []),
  ];
  const planned = joined(
    point,
    parts.map((part) => part.planned),
  );
  if (options.dryRun) return planned;
  deps.progress({ step: "plan", detail: planned.text });
  const answers: Answer[] = [];
  for (const part of parts) answers.push(await part.run());
  const { json, text } = joined(point, answers);
  return { json: { ...json, verified: true, plan: planned.json }, text };
}

async function planQdrant(
  deps: Deps,
  { access, point, repository }: { access: RegionAccess; point: RecoveryPoint; repository: OpenRepository },
  options: Options,
): Promise<{ readonly planned: Answer; run(): Promise<Answer> }> {
  const { target, targetName } = await openTarget(deps, access, options);
  const request = {
    ...deps,
    repository,
    point,
    target,
    ...(targetName === undefined ? {} : { targetName }),
    ...(options.collections === undefined ? {} : { only: namesIn(options.collections) }),
    ...(options.as === undefined ? {} : { as: options.as }),
    ...(options.swapAlias === undefined ? {} : { swapAlias: options.swapAlias }),
    discardUnfinished: options.discardUnfinished ?? false,
  };
  const plan = await planRestore(request);
  const where = targetName ?? options.stack;
  return {
    planned: describePlan(point, where, plan, await estimateRestore(repository, plan)),
    run: async () => {
      const report = await restorePoint(request);
      const text = [
        `${report.point} of ${report.time} restored into ${where} in ${formatSeconds(report.seconds)}`,
        `  ${formatCount(report.points)} points in ${formatCount(report.collections)} collections`,
        `  counts, ${formatCount(report.samples)} sampled points and ${formatCount(report.canaries)} canary queries are as captured`,
        ...(report.swapped === undefined ? [] : [`  ${swapInWords(report.swapped, "leads", "led")}`]),
      ].join("\n");
      return { json: report, text };
    },
  };
}

function joined(point: RecoveryPoint, answers: readonly Answer[]): Answer {
  const json = Object.assign({ point: point.id, time: point.time }, ...answers.map((answer) => answer.json));
  return { json, text: answers.map(({ text }) => text).join("\n") };
}

function refuseFolderOptions(kinds: readonly DataKind[], { folder, inPlace, into }: FolderOptions): void {
  if (folder === undefined && into === undefined && inPlace === undefined) return;
  if (into !== undefined && inPlace === true) {
    throw new DrError("USAGE", "--into and --in-place exclude each other", { hint: "give one of them" });
  }
  if (kinds.some((kind) => kind !== "qdrant")) return;
  throw new DrError("USAGE", "--folder, --into and --in-place are for folders, and only qdrant is restored", {
    hint: "add --only config,user-data",
  });
}

function namesIn(list: string): string[] {
  return list.split(",").map((name) => name.trim());
}

function describePlan(point: RecoveryPoint, where: string, plan: RestorePlan, estimate: RestoreEstimate): Answer {
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
    `${point.id} of ${point.startedAt} into ${where}:`,
    ...aligned(rows),
    ...(discard.length === 0 ? [] : [`first removed, half-made by an earlier restore: ${discard.join(", ")}`]),
    ...(aliases.length === 0 ? [] : [`aliases: ${aliases.map(({ alias }) => alias).join(", ")}`]),
    ...(swap === undefined ? [] : [swapInWords(swap, "will lead", "leads")]),
    `about ${formatSeconds(predictedSeconds)}: ${formatBytes(bytes)} at ${formatBytes(restoreRates.bytesPerSecond)}/s, and ${formatSeconds(restoreRates.secondsPerCollection)} a collection, ${formatSeconds(restoreRates.secondsPerShard)} a shard`,
  ].join("\n  ");
  const json = {
    point: point.id,
    time: point.time,
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
