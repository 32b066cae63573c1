import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { Job } from "../../runtime/domain/job-names.ts";
import { jobTable, objectNameOf } from "../../runtime/domain/jobs.ts";
import type { Role } from "../../runtime/domain/roles/epoch.ts";
import { labelsOf, selectorOf } from "./labels.ts";
import { type ProductPodBase, productPod } from "./product-pod.ts";
import { worksIn } from "./works-in.ts";

export interface ReplicatorArgs extends ProductPodBase {
  readonly namespace: pulumi.Input<string>;
  /** The region's jobs; those that replicate are declared here. */
  readonly jobs: readonly Job[];
  readonly role: Role;
}

/** The jobs that replicate, what empties the stream that they leave, and what their Deployments are called in the stack. */
const deployments = { deployment: "replicate", folders: "replicate-folders", stream: "prune-stream" } as const;

/**
 * Lets a standby follow the active region. What is in Qdrant the standby fetches; folders are read where they are, so the active region
 * brings them. One pod of each at a time, and none in a region whose role does not call for it.
 */
export class Replicator extends pulumi.ComponentResource {
  constructor(name: string, args: ReplicatorArgs, opts?: pulumi.ComponentResourceOptions) {
    super("qdrant-dr:index:Replicator", name, {}, opts);
    for (const [suffix, job] of Object.entries(deployments)) {
      if (args.jobs.includes(job)) this.#deployment(`${name}-${suffix}`, job, args);
    }
    this.registerOutputs();
  }

  #deployment(
    name: string,
    job: (typeof deployments)[keyof typeof deployments],
    { namespace, regionSecrets, role, settings }: ReplicatorArgs,
  ): void {
    const objectName = objectNameOf(job);
    const { command, worksWhile } = jobTable[job].runs;
    new k8s.apps.v1.Deployment(
      name,
      {
        metadata: { name: objectName, namespace, labels: labelsOf(objectName) },
        spec: {
          replicas: worksIn(role, worksWhile) ? 1 : 0,
          strategy: { type: "Recreate" },
          selector: { matchLabels: selectorOf(objectName) },
          template: productPod({
            settings,
            regionSecrets,
            job,
            command: command(settings),
            // It ends the cycle that it is in.
            pod: { terminationGracePeriodSeconds: 120 },
          }),
        },
      },
      { parent: this },
    );
  }
}
