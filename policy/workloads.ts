/** Finds the pods of what runs in a cluster, whatever kind of object makes them. */
import type { DeclaredResource, Props } from "./rule.ts";

// biome-ignore lint/suspicious/noExplicitAny: inputs of any resource
type Loose = any;

const containerLists = ["containers", "initContainers", "ephemeralContainers"];

/** Whatever holds containers in an object of Kubernetes is a pod: also in a kind that no rule has heard of. */
export function podsOf({ props, type }: DeclaredResource): Props[] {
  return type.startsWith("kubernetes:") ? podsIn(props["spec"]) : [];
}

function podsIn(value: Loose): Props[] {
  if (value === null || typeof value !== "object") return [];
  if (containerLists.some((list) => Array.isArray(value[list]))) return [value];
  return Object.values(value).flatMap(podsIn);
}

export function containersOf(pod: Props): Props[] {
  return containerLists.flatMap((list) => pod[list] ?? []);
}
