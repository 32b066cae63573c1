import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { Job } from "../../runtime/domain/job-names.ts";
import { objectNameOf } from "../../runtime/domain/jobs.ts";
import type { Region } from "../../runtime/domain/region.ts";
import {
  isRegionJob,
  type JobKeys,
  ownRegionFor,
  peerRegionFor,
  type RegionJob,
  type StoreKeys,
} from "../../runtime/domain/region-for-job.ts";
import type { PeerRegion } from "../../runtime/domain/region-for-peer.ts";
import { labelsOf } from "./labels.ts";
import { type RegionSecret, regionFiles, regionsDigest } from "./region-secret.ts";
import type { SigningKeys } from "./signing-keys.ts";

export interface RegionSecretsArgs {
  readonly namespace: pulumi.Input<string>;
  /** The region's jobs; those that are told of regions get a Secret. */
  readonly jobs: readonly Job[];
  /** This region as its own pods reach it. */
  readonly own: pulumi.Output<Region>;
  /** The other one, once its outputs are known here. */
  readonly peer: pulumi.Output<PeerRegion | undefined>;
  /** Each job signs with its own key, and believes what both regions do. */
  readonly signing: Pick<SigningKeys, "ofJobs" | "trust">;
  /** Absent where a role gives access to the stores. */
  readonly storeKeys: pulumi.Output<StoreKeys | undefined>;
}

/** For each job a Secret with what it is told of the regions, as `<region>.json`: a stolen one opens what that job opens. */
export class RegionSecrets extends pulumi.ComponentResource {
  readonly secrets: Readonly<Partial<Record<RegionJob, RegionSecret>>>;

  constructor(name: string, args: RegionSecretsArgs, opts?: pulumi.ComponentResourceOptions) {
    super("qdrant-dr:index:RegionSecrets", name, {}, opts);
    const { jobs, namespace, own, peer, signing, storeKeys } = args;
    const secrets = jobs.filter(isRegionJob).map((job) => {
      const told = pulumi
        .all([own, peer, signing.ofJobs, signing.trust, storeKeys])
        .apply(([here, there, signed, trust, store]) =>
          regionsFor(job, here, there && { ...there, trust }, {
            signing: signed[job],
            store: store as StoreKeys | undefined,
          }),
        );
      const files = pulumi.secret(told.apply((regions) => regionFiles(regions)));
      const { metadata } = new k8s.core.v1.Secret(
        `${name}-${job}`,
        {
          metadata: { name: `${objectNameOf(job)}-regions`, namespace, labels: labelsOf(objectNameOf(job)) },
          stringData: files,
        },
        { parent: this },
      );
      return [job, { name: metadata.name, digest: pulumi.unsecret(told.apply(regionsDigest)) }] as const;
    });
    this.secrets = Object.fromEntries(secrets);
    this.registerOutputs();
  }
}

function regionsFor(job: RegionJob, own: Region, peer: PeerRegion | undefined, keys: JobKeys): Region[] {
  const here = ownRegionFor(job, own, keys);
  const there = peer && peerRegionFor(job, peer, own, keys);
  return there === undefined ? [here] : [here, there];
}
