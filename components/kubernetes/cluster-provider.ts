import * as k8s from "@pulumi/kubernetes";
import type { KubernetesPart } from "../../runtime/domain/estate/kubernetes-settings.ts";

/** The one way to the region's cluster. */
export function clusterProvider({ clusterIdentifier, context, kubeconfig }: KubernetesPart): k8s.Provider {
  return new k8s.Provider("kubernetes", {
    ...(kubeconfig === undefined ? {} : { kubeconfig }),
    ...(context === undefined ? {} : { context }),
    ...(clusterIdentifier === undefined ? {} : { clusterIdentifier }),
    // Every object has a name of its own: it is changed in place, never made anew under another name.
    enableSecretMutable: true,
    enableConfigMapMutable: true,
    // An `up` that was killed goes on with what it has made. What another manager's hands set is a conflict all the same.
    upsertExistingObjects: true,
  });
}
