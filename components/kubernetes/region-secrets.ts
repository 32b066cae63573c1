import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { type Job, objectNameOf } from "../../runtime/domain/jobs.ts";
import type { Region } from "../../runtime/domain/region.ts";
import { isRegionJob, ownRegionFor, peerRegionFor, type RegionJob } from "../../runtime/domain/region-for-job.ts";
import { labelsOf } from "./labels.ts";

export interface RegionSecretsArgs {
  readonly namespace: pulumi.Input<string>;
  /** The region's jobs; those that are told of regions get a Secret. */
  readonly jobs: readonly Job[];
  /** This region as its own pods reach it. */
  readonly own: pulumi.Output<Region>;
  /** The other one, once its outputs are known here. */
  readonly peer: pulumi.Output<Region | undefined>;
}

/** For each job a Secret with what it is told of the regions, as `<region>.json`: a stolen one opens what that job opens. */
export class RegionSecrets extends pulumi.ComponentResource {
  /** Names of the Secrets. */
  readonly names: Readonly<Partial<Record<RegionJob, pulumi.Output<string>>>>;

  constructor(name: string, args: RegionSecretsArgs, opts?: pulumi.ComponentResourceOptions) {
    super("qdrant-dr:index:RegionSecrets", name, {}, opts);
    const { jobs, namespace, own, peer } = args;
    const secrets = jobs.filter(isRegionJob).map((job) => {
      const { metadata } = new k8s.core.v1.Secret(
        `${name}-${job}`,
        {
          metadata: { name: `${objectNameOf(job)}-regions`, namespace, labels: labelsOf(objectNameOf(job)) },
          stringData: pulumi.secret(pulumi.all([own, peer]).apply(([here, there]) => filesFor(job, here, there))),
        },
        { parent: this },
      );
      return [job, metadata.name] as const;
    });
    this.names = Object.fromEntries(secrets);
    this.registerOutputs({ names: this.names });
  }
}

function filesFor(job: RegionJob, own: Region, peer: Region | undefined): Record<string, string> {
  const there = peer === undefined ? undefined : peerRegionFor(job, peer);
  return {
    [`${own.region}.json`]: JSON.stringify(ownRegionFor(job, own)),
    ...(there === undefined ? {} : { [`${there.region}.json`]: JSON.stringify(there) }),
  };
}
