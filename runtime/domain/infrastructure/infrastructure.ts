/**
 * What a region captures of the infrastructure around its Qdrant: the settings, and where each document stands in the
 * captured folder.
 */
import { z } from "zod";
import { absolutePathSchema, isDistinct, namespaceSchema } from "../settings/primitives.ts";

const kindSchema = z.strictObject({
  /** "v1", "apps/v1". */
  apiVersion: z.string().regex(/^([a-z0-9.-]+\/)?v[a-z0-9]+$/, 'a group and version, as "apps/v1", or "v1"'),
  kind: z.string().regex(/^[A-Z][A-Za-z0-9]*$/, "a kind as it is written in objects"),
  /** The name in the API's paths, and whether objects belong to a namespace: for kinds that Kubernetes itself does not have. */
  resource: z
    .string()
    .regex(/^[a-z][a-z0-9-]*$/, "the name in the API's paths, such as deployments")
    .optional(),
  scope: z.enum(["Namespaced", "Cluster"]).optional(),
});
export type CapturedKind = z.infer<typeof kindSchema>;
export type ObjectKind = Pick<CapturedKind, "apiVersion" | "kind">;
export type ResourceScope = NonNullable<CapturedKind["scope"]>;

const clusterSchema = z.strictObject({
  /** A kubeconfig file; otherwise KUBECONFIG, the home folder's, or the account of the pod that this runs in. */
  kubeconfig: absolutePathSchema.optional(),
  /** Context of the kubeconfig; the current one when left out. */
  context: z.string().min(1).optional(),
  namespaces: z.array(namespaceSchema).min(1).refine(isDistinct, "each namespace once"),
  /** Nothing is captured that is not asked for here: Secrets only when v1 Secret is among them. */
  kinds: z
    .array(kindSchema)
    .min(1)
    .refine((kinds) => isDistinct(kinds.map(qualifiedKind)), "each kind once, in one version"),
  /** A label selector, as `kubectl --selector` takes it. */
  selector: z.string().min(1).optional(),
});
export type ClusterSettings = z.infer<typeof clusterSchema>;

export const infrastructureSchema = z.strictObject({
  kubernetes: clusterSchema.optional(),
  /** Pulumi stacks of this project whose state is exported. */
  stacks: z
    .array(z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]*(\/[A-Za-z0-9][A-Za-z0-9._-]*){0,2}$/, "the name of a stack"))
    .refine(isDistinct, "each stack once")
    .default([]),
});
export type InfrastructureSettings = z.infer<typeof infrastructureSchema>;

export function hasInfrastructure({ kubernetes, stacks }: InfrastructureSettings): boolean {
  return kubernetes !== undefined || stacks.length > 0;
}

/** "Deployment.apps"; the group of the core has no name. */
export function qualifiedKind({ apiVersion, kind }: ObjectKind): string {
  const [group = "", version] = apiVersion.split("/");
  return version === undefined ? kind : `${kind}.${group}`;
}

/** The core's group has an empty name. */
export function groupOf({ apiVersion }: ObjectKind): string {
  const [group = "", version] = apiVersion.split("/");
  return version === undefined ? "" : group;
}

export const imagesPath = "images.json";

export function stackPath(stack: string): string {
  return `pulumi/${stack}.json`;
}

/** The stack whose state is at the path. */
export function stackOf(path: string): string | undefined {
  return /^pulumi\/(.+)\.json$/.exec(path)?.[1];
}

const clusterFolder = "kubernetes";
/** No namespace can have this name. */
const withoutNamespace = "_cluster";

export function objectPath(
  object: ObjectKind & { readonly metadata: { readonly name: string; readonly namespace?: string | undefined } },
): string {
  const { name, namespace } = object.metadata;
  return `${clusterFolder}/${namespace ?? withoutNamespace}/${qualifiedKind(object)}/${name}.json`;
}

export function isObjectPath(path: string): boolean {
  return path.startsWith(`${clusterFolder}/`);
}
