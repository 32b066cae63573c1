/** Every pod keeps Pod Security's level `restricted`, and writes only where a volume is. */
import type * as k8s from "@pulumi/kubernetes";

type PodSpec = k8s.types.input.core.v1.PodSpec;
type Container = k8s.types.input.core.v1.Container;

/** Labels of a namespace in which only such pods are let in. */
export const restrictedNamespace = Object.fromEntries(
  ["enforce", "audit", "warn"].map((mode) => [`pod-security.kubernetes.io/${mode}`, "restricted"]),
);

export interface RestrictedPodSpec extends Omit<PodSpec, "containers" | "initContainers"> {
  readonly containers: Container[];
  readonly initContainers?: Container[];
}

export interface PodUser {
  /** Runs everything in the pod. */
  readonly user: number;
  /** Owns its volumes; the user's own number when left out. */
  readonly group?: number | undefined;
  /** Whose files it may read, too. */
  readonly otherGroups?: readonly number[];
}

export function restrictedPod(
  { group, otherGroups = [], user }: PodUser,
  { containers, initContainers, ...spec }: RestrictedPodSpec,
): PodSpec {
  return {
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    ...spec,
    securityContext: {
      runAsNonRoot: true,
      runAsUser: user,
      runAsGroup: group ?? user,
      fsGroup: group ?? user,
      ...(otherGroups.length === 0 ? {} : { supplementalGroups: [...otherGroups] }),
      fsGroupChangePolicy: "OnRootMismatch",
      seccompProfile: { type: "RuntimeDefault" },
    },
    containers: containers.map(restricted),
    ...(initContainers === undefined ? {} : { initContainers: initContainers.map(restricted) }),
  };
}

function restricted(container: Container): Container {
  return {
    ...container,
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
    },
  };
}
