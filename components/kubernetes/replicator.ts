import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { objectNameOf } from "../../runtime/domain/jobs.ts";
import type { Role } from "../../runtime/domain/roles/epoch.ts";
import type { KubernetesPart } from "../../runtime/domain/settings/kubernetes-settings.ts";
import type { Replicate } from "../../runtime/domain/settings/tiers.ts";
import { labelsOf, reaches, selectorOf } from "./labels.ts";
import { type ProductPodArgs, type ProductPodBase, productPod } from "./product-pod.ts";

export interface ReplicatorArgs extends ProductPodBase, Pick<Replicate, "everySeconds" | "tiers"> {
  readonly namespace: pulumi.Input<string>;
  readonly region: string;
  /** The region that this one follows while it is not active itself, and that follows this one while it is. */
  readonly peer: string;
  readonly role: Role;
  /** Kinds of the folders that this region has, if any. */
  readonly folders: readonly ("config" | "user-data")[];
  /** Volumes that hold them. */
  readonly claims: KubernetesPart["claims"];
}

/**
 * Lets a standby follow the active region. What is in Qdrant the standby fetches; folders are read where they are, so the active region
 * brings them. One pod of each at a time, and none in a region whose role does not call for it.
 */
export class Replicator extends pulumi.ComponentResource {
  constructor(name: string, args: ReplicatorArgs, opts?: pulumi.ComponentResourceOptions) {
    super("qdrant-dr:index:Replicator", name, {}, opts);
    const { claims, everySeconds, folders, peer, region, role, tiers } = args;
    const isActive = role === "active";
    const every = ["--every", String(everySeconds)];
    const inTiers = Object.entries(tiers).flatMap(([named, seconds]) => ["--tier", `${named}=${seconds}`]);
    this.#deployment(`${name}-deployment`, args, !isActive, {
      job: "replicate",
      command: ["replicate", "--from", peer, "--to", region, ...every, ...inTiers],
      resources: { cpu: "1", memory: "1Gi" },
      reaches: [reaches.qdrant, reaches.stores],
    });
    if (folders.length > 0) {
      this.#deployment(`${name}-folders`, args, isActive, {
        job: "replicate-folders",
        command: ["replicate", "--from", region, "--to", peer, "--only", folders.join(), ...every],
        resources: { cpu: "250m", memory: "1Gi" },
        reaches: [reaches.stores],
        claims,
      });
    }
    this.registerOutputs();
  }

  #deployment(
    name: string,
    { image, namespace, regionSecrets = {}, tlsSecret }: ReplicatorArgs,
    isWanted: boolean,
    pod: Omit<ProductPodArgs, keyof ProductPodBase | "pod">,
  ): void {
    const what = objectNameOf(pod.job);
    new k8s.apps.v1.Deployment(
      name,
      {
        metadata: { name: what, namespace, labels: labelsOf(what) },
        spec: {
          replicas: isWanted ? 1 : 0,
          strategy: { type: "Recreate" },
          selector: { matchLabels: selectorOf(what) },
          template: productPod({
            ...{ image, regionSecrets, tlsSecret },
            ...pod,
            // It ends the cycle that it is in.
            pod: { terminationGracePeriodSeconds: 120 },
          }),
        },
      },
      { parent: this },
    );
  }
}
