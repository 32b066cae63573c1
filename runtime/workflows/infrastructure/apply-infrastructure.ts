/**
 * Applies captured objects to a cluster: first shows what would change, refuses before anything is touched, then applies
 * in an order in which everything finds what it needs, and reads back. What the cluster has besides stays as it is.
 */
import { applyStep } from "../../domain/infrastructure/apply-order.ts";
import { type FieldChange, fieldChanges, fieldsLacking } from "../../domain/infrastructure/field-changes.ts";
import { type ObjectKind, qualifiedKind } from "../../domain/infrastructure/infrastructure.ts";
import { declaredPart, type KubernetesObject, member, titleOf } from "../../domain/infrastructure/kubernetes-object.ts";
import { DrError } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { ApplyOutcome, Cluster, FieldConflict } from "../../ports/cluster.ts";
import type { Progress } from "../../ports/progress.ts";
import { waitUntil } from "../../time/wait-until.ts";

/** A new kind is served within a second or two of its definition. */
const servedWithinMs = 60_000;

export interface ObjectPlan {
  readonly object: KubernetesObject;
  readonly title: string;
  readonly change: "created" | "changed" | "unchanged";
  /** The fields of the live object that change; values of Secrets are not shown. */
  readonly fields: readonly FieldChange[];
  /** Fields that somebody else set to other values. */
  readonly conflicts: readonly FieldConflict[];
  /** Why the cluster would not take it. */
  readonly refusal?: string;
}

export interface ApplyReport {
  readonly cluster: string;
  readonly created: number;
  readonly changed: number;
  readonly unchanged: number;
  readonly seconds: number;
}

export interface ApplyRequest {
  readonly cluster: Cluster;
  /** Take over fields that others set. */
  readonly forceConflicts: boolean;
  readonly clock: Clock;
  readonly progress: Progress;
}

/** Plans the application of objects: the cluster rehearses each of them (a dry run on the server). */
export async function planApplication(cluster: Cluster, objects: readonly KubernetesObject[]): Promise<ObjectPlan[]> {
  const ordered = [...objects].sort((a, b) => applyStep(a) - applyStep(b));
  const plans: ObjectPlan[] = [];
  for (const object of ordered) plans.push(await planObject(cluster, object, ordered));
  return plans;
}

/** Throws APPLY_CONFLICT or KUBERNETES_REFUSED when the plans cannot be carried out. */
export function refuseImpossible(plans: readonly ObjectPlan[], forceConflicts: boolean): void {
  const refused = plans.filter(({ refusal }) => refusal !== undefined);
  if (refused.length > 0) {
    const told = refused.map(({ refusal, title }) => `${title}: ${refusal}`);
    throw new DrError("KUBERNETES_REFUSED", `the cluster does not take ${listed(told)}; nothing was changed`, {
      hint: "see why; restore to files with --into to apply by hand what it does not take",
    });
  }
  const contested = plans.filter(({ conflicts }) => conflicts.length > 0);
  if (forceConflicts || contested.length === 0) return;
  throw new DrError("APPLY_CONFLICT", `${listed(contested.map(toldConflicts))}; nothing was changed`, {
    hint: "let the owner change them, or take them over with --force-conflicts",
  });
}

/** Refuses what cannot be carried out before anything is touched. */
export async function applyInfrastructure(request: ApplyRequest, plans: readonly ObjectPlan[]): Promise<ApplyReport> {
  const { clock, cluster, forceConflicts, progress } = request;
  const begun = clock.monotonic();
  refuseImpossible(plans, forceConflicts);
  for (const { change, object, title } of plans) {
    if (change === "unchanged") continue;
    progress({ step: "apply", detail: title });
    await waitUntilServed(cluster, object, clock);
    const outcome = await cluster.apply(object, { force: forceConflicts, isRehearsal: false });
    if (outcome.outcome !== "applied") throw changedMeanwhile(title, outcome);
  }
  await readBack(cluster, plans);
  const count = (change: ObjectPlan["change"]) => plans.filter((plan) => plan.change === change).length;
  return {
    cluster: cluster.name,
    created: count("created"),
    changed: count("changed"),
    unchanged: count("unchanged"),
    seconds: (clock.monotonic() - begun) / 1000,
  };
}

async function planObject(
  cluster: Cluster,
  object: KubernetesObject,
  all: readonly KubernetesObject[],
): Promise<ObjectPlan> {
  const plan = { object, title: titleOf(object), change: "created", fields: [], conflicts: [] } as const;
  if (!(await cluster.serves(object))) {
    if (all.some((other) => defines(other, object))) return plan;
    return { ...plan, refusal: `${cluster.name} has no ${object.apiVersion} ${object.kind}` };
  }
  const { namespace } = object.metadata;
  if (namespace !== undefined && !(await cluster.hasNamespace(namespace))) {
    // Nothing can be rehearsed in a namespace that is not there.
    if (all.some((other) => isNamespace(other, namespace))) return plan;
    return { ...plan, refusal: `there is no namespace ${namespace}, and the point holds none` };
  }
  const live = await cluster.object(object);
  let outcome = await cluster.apply(object, { force: false, isRehearsal: true });
  const conflicts = outcome.outcome === "conflict" ? outcome.conflicts : [];
  if (outcome.outcome === "conflict") outcome = await cluster.apply(object, { force: true, isRehearsal: true });
  if (outcome.outcome !== "applied") return { ...plan, conflicts, refusal: reasonOf(outcome) };
  if (live === undefined) return plan;
  const fields = fieldChanges(declaredPart(live), declaredPart(outcome.object));
  return {
    ...plan,
    change: fields.length === 0 ? "unchanged" : "changed",
    fields: qualifiedKind(object) === "Secret" ? fields.map(({ field }) => ({ field })) : fields,
    conflicts,
  };
}

/** Everything that was applied is there, with every field of its document. */
async function readBack(cluster: Cluster, plans: readonly ObjectPlan[]): Promise<void> {
  const problems: string[] = [];
  for (const { object, title } of plans) {
    const live = await cluster.object(object);
    const lacking = live === undefined ? ["it"] : fieldsLacking(object, declaredPart(live));
    if (lacking.length > 0) problems.push(`${title}: ${lacking.slice(0, 5).join(", ")} is not as captured`);
  }
  if (problems.length === 0) return;
  throw new DrError("VERIFICATION_FAILED", `the cluster does not hold what was applied: ${listed(problems)}`, {
    hint: "see what changes these fields (a controller, an admission webhook); then run it again",
  });
}

async function waitUntilServed(cluster: Cluster, kind: ObjectKind, clock: Clock): Promise<void> {
  const what = `${cluster.name} to serve ${qualifiedKind(kind)}`;
  const expired = () =>
    new DrError("KUBERNETES_REFUSED", `${cluster.name} does not serve ${qualifiedKind(kind)}`, {
      hint: "see the conditions of its CustomResourceDefinition; then run it again",
    });
  await waitUntil(clock, { what, withinMs: servedWithinMs, everyMs: 100, expired }, () => cluster.serves(kind));
}

function defines(definition: KubernetesObject, { apiVersion, kind }: ObjectKind): boolean {
  if (definition.kind !== "CustomResourceDefinition") return false;
  const [group, version] = apiVersion.split("/");
  const versions = member(definition, ["spec", "versions"]);
  return (
    member(definition, ["spec", "group"]) === group &&
    member(definition, ["spec", "names", "kind"]) === kind &&
    Array.isArray(versions) &&
    versions.some((one) => member(one, ["name"]) === version)
  );
}

function isNamespace(object: KubernetesObject, name: string): boolean {
  return qualifiedKind(object) === "Namespace" && object.metadata.name === name;
}

function changedMeanwhile(title: string, outcome: ApplyOutcome): DrError {
  const what = outcome.outcome === "conflict" ? toldConflicts({ title, ...outcome }) : `${title}: ${reasonOf(outcome)}`;
  return new DrError(
    outcome.outcome === "conflict" ? "APPLY_CONFLICT" : "KUBERNETES_REFUSED",
    `${what}; what came before it was applied`,
    { hint: "it changed since the plan was made: run it again, which goes on from here" },
  );
}

function reasonOf(outcome: ApplyOutcome): string {
  return outcome.outcome === "refused" ? outcome.reason : "it is in conflict with others";
}

function toldConflicts({ conflicts, title }: Pick<ObjectPlan, "conflicts" | "title">): string {
  return `${title}: ${conflicts.map(({ field, owner }) => `${field} is set by ${owner}`).join(", ")}`;
}

function listed(parts: readonly string[]): string {
  const shown = parts.slice(0, 10).join("; ");
  return parts.length > 10 ? `${shown}; and ${parts.length - 10} more` : shown;
}
