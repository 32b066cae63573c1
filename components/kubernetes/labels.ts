/** Labels that all of a region's objects have, and those that say what a pod may reach. */
import type { Reach } from "../../runtime/domain/jobs.ts";

/** Qdrant's objects are called so. */
export const qdrantName = "qdrant";

export const ofProduct = { "app.kubernetes.io/part-of": "qdrant-dr" };

/** The labels by which objects that belong together find each other; they never change. */
export function selectorOf(what: string) {
  return { ...ofProduct, "app.kubernetes.io/name": what };
}

export function labelsOf(what: string) {
  return { ...selectorOf(what), "app.kubernetes.io/managed-by": "qdrant-dr" };
}

/** A pod without one of these reaches nothing but the cluster's names. */
export function reachLabel(reach: Reach): Readonly<Record<string, string>> {
  return { [`qdrant-dr/reaches-${reach}`]: "true" };
}
