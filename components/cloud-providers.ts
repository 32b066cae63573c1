import * as aws from "@pulumi/aws";
import * as k8s from "@pulumi/kubernetes";
import type * as pulumi from "@pulumi/pulumi";
import type { KubernetesStackSettings } from "../runtime/domain/settings/stack-settings.ts";

/** The one way to the region's cluster, and the one to its account at AWS. */
export function cloudProviders(settings: KubernetesStackSettings): pulumi.ProviderResource[] {
  const { clusterIdentifier, context, kubeconfig } = settings.kubernetes;
  const cluster = new k8s.Provider("kubernetes", {
    kubeconfig,
    context,
    clusterIdentifier,
    // Every object has a name of its own: it is changed in place, never made anew under another name.
    enableSecretMutable: true,
    enableConfigMapMutable: true,
    // An `up` that was killed goes on with what it has made. What another manager's hands set is a conflict all the same.
    upsertExistingObjects: true,
  });
  if (settings.store !== "aws") return [cluster];
  // Another account's credentials are refused before anything is made with them.
  const { account, region } = settings.aws;
  return [cluster, new aws.Provider("aws", { region: region as aws.Region, allowedAccountIds: [account] })];
}
