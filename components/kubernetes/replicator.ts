import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { Role } from "../../runtime/domain/estate/epoch.ts";
import { objectNameOf } from "../../runtime/domain/estate/jobs.ts";
import type { Replicate } from "../../runtime/domain/estate/tiers.ts";
import { labelsOf, reaches, selectorOf } from "./labels.ts";
import { type ProductPodBase, productPod } from "./product-pod.ts";

export interface ReplicatorArgs extends ProductPodBase, Replicate {
  readonly namespace: pulumi.Input<string>;
  readonly region: string;
  /** The region that this one follows while it is not active itself. */
  readonly peer: string;
  readonly role: Role;
}

/** Lets a standby follow the active region. One pod at a time, and none while this region is active. */
export class Replicator extends pulumi.ComponentResource {
  constructor(name: string, args: ReplicatorArgs, opts?: pulumi.ComponentResourceOptions) {
    super("qdrant-dr:index:Replicator", name, {}, opts);
    const { everySeconds, namespace, peer, region, role, tiers, ...base } = args;
    const inTiers = Object.entries(tiers).flatMap(([named, seconds]) => ["--tier", `${named}=${seconds}`]);
    const what = objectNameOf("replicate");
    new k8s.apps.v1.Deployment(
      `${name}-deployment`,
      {
        metadata: { name: what, namespace, labels: labelsOf(what) },
        spec: {
          replicas: role === "active" ? 0 : 1,
          strategy: { type: "Recreate" },
          selector: { matchLabels: selectorOf(what) },
          template: productPod({
            ...base,
            job: "replicate",
            command: ["replicate", "--from", peer, "--to", region, "--every", String(everySeconds), ...inTiers],
            resources: { cpu: "1", memory: "1Gi" },
            reaches: [reaches.qdrant, reaches.stores],
            // It ends the cycle that it is in.
            pod: { terminationGracePeriodSeconds: 120 },
          }),
        },
      },
      { parent: this },
    );
    this.registerOutputs();
  }
}
