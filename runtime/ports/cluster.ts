import type { ObjectKind } from "../domain/infrastructure/infrastructure.ts";
import type { KubernetesObject } from "../domain/infrastructure/kubernetes-object.ts";

export interface InfrastructureDocument {
  /** Its place in the captured folder. */
  readonly path: string;
  readonly bytes: Uint8Array;
  /** When somebody last changed what it tells. */
  readonly changedAt: Date;
}

/** The infrastructure around a region's Qdrant, as documents. Throws rather than leave one out. */
export interface InfrastructureSource {
  documents(): AsyncIterable<InfrastructureDocument>;
}

export interface FieldConflict {
  readonly field: string;
  /** The field manager that set it to another value. */
  readonly owner: string;
}

export type ApplyOutcome =
  | { readonly outcome: "applied"; readonly object: KubernetesObject }
  | { readonly outcome: "conflict"; readonly conflicts: readonly FieldConflict[] }
  /** The cluster does not take it as it is. */
  | { readonly outcome: "refused"; readonly reason: string };

/** A Kubernetes cluster. Throws UNREACHABLE or ACCESS_DENIED, and KUBERNETES_REFUSED for what is no object's fault. */
export interface Cluster {
  /** For people: which cluster this is. */
  readonly name: string;
  serves(kind: ObjectKind): Promise<boolean>;
  hasNamespace(name: string): Promise<boolean>;
  /**
   * Every object of a kind, as it was at one instant for each namespace. Objects that belong to no namespace are
   * given whatever the namespaces. Throws CAPTURE_INCOMPLETE when a list ends short.
   */
  objects(kind: ObjectKind, namespaces: readonly string[], selector?: string): AsyncIterable<KubernetesObject>;
  /** The live object with the name of this one. */
  object(like: KubernetesObject): Promise<KubernetesObject | undefined>;
  /** Server-side apply; `force` takes fields over from others. A rehearsal changes nothing. */
  apply(
    object: KubernetesObject,
    mode: { readonly force: boolean; readonly isRehearsal: boolean },
  ): Promise<ApplyOutcome>;
}
