/** Kubernetes' access rules that let captures read what recovery points hold, and nothing else. */
import type { ObjectKind } from "../../runtime/domain/infrastructure/infrastructure.ts";

interface Rule {
  readonly apiGroups: string[];
  readonly resources: string[];
  readonly verbs: string[];
}

export function readRules(kinds: readonly ObjectKind[]): Rule[] {
  return kinds.map(({ apiVersion, kind }) => ({
    apiGroups: [apiVersion.includes("/") ? (apiVersion.split("/")[0] ?? "") : ""],
    resources: [resourceOf(kind)],
    verbs: ["get", "list"],
  }));
}

/** Kinds of Kubernetes itself that belong to no namespace. */
const clusterScoped = new Set([
  "APIService",
  "CSIDriver",
  "ClusterRole",
  "ClusterRoleBinding",
  "CustomResourceDefinition",
  "IngressClass",
  "MutatingWebhookConfiguration",
  "Namespace",
  "Node",
  "PersistentVolume",
  "PriorityClass",
  "RuntimeClass",
  "StorageClass",
  "ValidatingAdmissionPolicy",
  "ValidatingAdmissionPolicyBinding",
  "ValidatingWebhookConfiguration",
  "VolumeSnapshotClass",
]);

export function isClusterScoped({ kind }: ObjectKind): boolean {
  return clusterScoped.has(kind);
}

/** Access is given by the name in the API's paths: by convention the English plural, in small letters. */
function resourceOf(kind: string): string {
  const name = kind.toLowerCase();
  if (name === "endpoints") return name;
  if (/[^aeiou]y$/.test(name)) return `${name.slice(0, -1)}ies`;
  return /(s|x|z|ch|sh)$/.test(name) ? `${name}es` : `${name}s`;
}
