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

/** @param user runs everything in the pod, and owns its volumes. */
export function restrictedPod(user: number, { containers, initContainers, ...spec }: RestrictedPodSpec): PodSpec {
  return {
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    ...spec,
    securityContext: {
      runAsNonRoot: true,
      runAsUser: user,
      runAsGroup: user,
      fsGroup: user,
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
