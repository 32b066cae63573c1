/** The part of `restore` that applies captured objects to a Kubernetes cluster. */
import type { Deps } from "../../composition/deps.ts";
import { lineOf } from "../../domain/exact-json.ts";
import { formatCount, formatSeconds } from "../../domain/format.ts";
import type { FieldChange } from "../../domain/infrastructure/field-changes.ts";
import type { DataKind, RecoveryPoint } from "../../domain/recovery-points/recovery-point.ts";
import type { Region } from "../../domain/region.ts";
import { DrError } from "../../errors.ts";
import type { Cluster, FieldConflict } from "../../ports/cluster.ts";
import {
  applyInfrastructure,
  type ObjectPlan,
  planApplication,
  refuseImpossible,
} from "../../workflows/infrastructure/apply-infrastructure.ts";
import { readInfrastructure } from "../../workflows/infrastructure/read-infrastructure.ts";
import type { Answer } from "../shared/command.ts";
import type { PlannedPart } from "./answer.ts";
import type { FolderOptions } from "./folders.ts";
import type { RestorePart, RestoreSources } from "./part.ts";

export interface ClusterOptions {
  readonly context?: string;
  readonly kubeconfig?: string;
  readonly forceConflicts?: boolean;
  readonly dryRun?: boolean;
}

const longestValue = 60;

/** Without a folder to write it to, infrastructure is applied. */
export function isForCluster(kinds: readonly DataKind[], { folder, into }: FolderOptions): boolean {
  return kinds.includes("infrastructure") && into === undefined && folder?.has("infrastructure") !== true;
}

export function refuseClusterOptions(kinds: readonly DataKind[], options: ClusterOptions & FolderOptions): void {
  const { context, forceConflicts, kubeconfig } = options;
  if (context === undefined && forceConflicts === undefined && kubeconfig === undefined) return;
  if (!isForCluster(kinds, options)) {
    throw new DrError(
      "USAGE",
      "--context, --kubeconfig and --force-conflicts are for a cluster, and none is restored to",
      {
        hint: "add --only infrastructure, and leave --into out",
      },
    );
  }
  if (kubeconfig === undefined || context !== undefined) return;
  throw new DrError("USAGE", "--kubeconfig needs --context: its current context may be any cluster", {
    hint: "`kubectl config get-contexts` lists them",
  });
}

/** Rehearsed before anything is touched, and refused then unless it is a dry run; `run` does it. */
export async function planInfrastructure(
  deps: Deps,
  { recoveryPoint, repository, session }: RestoreSources,
  options: ClusterOptions,
): Promise<RestorePart> {
  const { objects, stacks } = await readInfrastructure(repository, recoveryPoint);
  const forceConflicts = options.forceConflicts ?? false;
  if (objects.length === 0) {
    const nothing = { json: { infrastructure: { stacks } }, text: stacksInWords(stacks).join("\n") };
    return { planned: nothing, run: async () => nothing };
  }
  const cluster = await openCluster(deps, session.region, options);
  const plans = await planApplication(cluster, objects);
  if (!options.dryRun) refuseImpossible(plans, forceConflicts);
  return {
    planned: describe(recoveryPoint, cluster, plans, stacks),
    run: async () => {
      const report = await applyInfrastructure({ ...deps, cluster, forceConflicts }, plans);
      const { changed, created, unchanged } = report;
      const text = [
        `infrastructure of ${recoveryPoint.id} applied to ${report.cluster} in ${formatSeconds(report.seconds)}`,
        `  objects: ${formatCount(created)} created, ${formatCount(changed)} changed, ${formatCount(unchanged)} as they were; all read back as captured`,
        ...stacksInWords(stacks).map((line) => `  ${line}`),
      ].join("\n");
      return { json: { infrastructure: { ...report, stacks } }, text };
    },
  };
}

/** A cluster is named, never guessed: the kubeconfig's current context may be anybody's. */
function openCluster(deps: Deps, region: Region, { context, kubeconfig }: ClusterOptions): Promise<Cluster> {
  const own = region.infrastructure.kubernetes;
  if (own === undefined && context === undefined) {
    throw new DrError("USAGE", `region ${region.region} has no cluster in its settings, and none was named`, {
      hint: "name one with --context (and --kubeconfig), or restore to files with --into",
    });
  }
  // Another kubeconfig has other contexts.
  const settings = kubeconfig === undefined ? { ...own } : { kubeconfig };
  return deps.cluster({ ...settings, ...(context === undefined ? {} : { context }) });
}

function describe(
  recoveryPoint: RecoveryPoint,
  cluster: Cluster,
  plans: readonly ObjectPlan[],
  stacks: readonly string[],
): Answer<PlannedPart> {
  const text = [
    `infrastructure of ${recoveryPoint.id} of ${recoveryPoint.startedAt} to ${cluster.name}:`,
    ...plans.filter(({ change, refusal }) => change !== "unchanged" || refusal !== undefined).flatMap(planInWords),
    `unchanged: ${formatCount(plans.filter(({ change }) => change === "unchanged").length)} of ${formatCount(plans.length)} objects`,
    "what the cluster has besides stays as it is",
    ...stacksInWords(stacks),
  ].join("\n  ");
  const objects = plans.map(({ change, conflicts, fields, refusal, title }) => {
    return { title, change, fields, conflicts, ...(refusal === undefined ? {} : { refusal }) };
  });
  return { json: { infrastructure: { cluster: cluster.name, objects, stacks } }, text };
}

function planInWords({ change, conflicts, fields, refusal, title }: ObjectPlan): string[] {
  const head = refusal === undefined ? `${change}: ${title}` : `refused: ${title}: ${refusal}`;
  return [head, ...fields.map((field) => `  ${fieldInWords(field, conflicts)}`)];
}

function fieldInWords({ after, before, field }: FieldChange, conflicts: readonly FieldConflict[]): string {
  const owner = conflicts.find((conflict) => conflict.field === field)?.owner;
  const values = before === undefined && after === undefined ? "another value" : `${shown(before)} → ${shown(after)}`;
  return `${field}: ${values}${owner === undefined ? "" : ` (set by ${owner})`}`;
}

function shown(value: unknown): string {
  const text = value === undefined ? "nothing" : lineOf(value);
  return text.length > longestValue ? `${text.slice(0, longestValue)}…` : text;
}

function stacksInWords(stacks: readonly string[]): string[] {
  if (stacks.length === 0) return [];
  return [
    `not imported: the state of ${stacks.join(", ")}. Its resources may be another region's by now: write it with --into <folder>,`,
    "  look at it, and give it to `pulumi stack import --file` yourself",
  ];
}
