import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import type { Job } from "../../runtime/domain/job-names.ts";
import { objectNameOf } from "../../runtime/domain/jobs.ts";
import type { AwsSettings } from "../../runtime/domain/settings/aws-settings.ts";
import { buildJobPolicy } from "./job-policy.ts";
import { policyJson } from "./policy-document.ts";

export interface AwsIdentitiesArgs {
  /** Name of the region. */
  readonly region: string;
  /** Where the jobs' ServiceAccounts are. */
  readonly namespace: string;
  readonly jobs: readonly Job[];
  readonly settings: AwsSettings;
  readonly stores: {
    readonly repository: { readonly bucket: string };
    readonly control: { readonly bucket: string };
    /**
     * Where the gate's leases are.
     * @default none
     */
    readonly witness?: { readonly bucket: string } | undefined;
  };
}

/** A role for each job, which only the job's ServiceAccount can take, and which can do nothing but the job. */
export class AwsIdentities extends pulumi.ComponentResource {
  /** What is written on each job's ServiceAccount, so that its pods get the role. */
  readonly annotations: pulumi.Output<Readonly<Partial<Record<Job, Readonly<Record<string, string>>>>>>;

  constructor(name: string, args: AwsIdentitiesArgs, opts?: pulumi.ComponentResourceOptions) {
    super("qdrant-dr:aws:AwsIdentities", name, {}, opts);
    const { jobs, namespace, region, settings, stores } = args;
    const { cluster, keyArn, peer, permissionsBoundaryArn, tags } = settings;
    const child = { parent: this };
    const usesPodIdentity = "podIdentity" in cluster;

    const annotations = jobs.map((job) => {
      const role = new aws.iam.Role(
        `${name}-${job}`,
        {
          name: roleNameOf(region, job),
          description: `qdrant-dr ${job} in ${region}`,
          assumeRolePolicy: buildTrustPolicy(settings, namespace, objectNameOf(job)),
          permissionsBoundary: permissionsBoundaryArn,
          tags,
        },
        child,
      );
      const permissions = new aws.iam.RolePolicy(
        `${name}-${job}-permissions`,
        {
          role: role.name,
          name: job,
          policy: policyJson(
            buildJobPolicy(job, {
              repository: stores.repository.bucket,
              control: stores.control.bucket,
              keyArn,
              peer,
              witness: stores.witness?.bucket,
            }),
          ),
        },
        child,
      );
      if (usesPodIdentity) {
        new aws.eks.PodIdentityAssociation(
          `${name}-${job}-association`,
          {
            clusterName: cluster.podIdentity.name,
            namespace,
            serviceAccount: objectNameOf(job),
            roleArn: role.arn,
            tags,
          },
          { parent: this, dependsOn: [permissions] },
        );
      }
      const named = pulumi
        .all([role.arn, permissions.id])
        .apply(([arn]): Record<string, string> => (usesPodIdentity ? {} : { "eks.amazonaws.com/role-arn": arn }));
      return [job, named] as const;
    });

    this.annotations = pulumi.output(
      Object.fromEntries(annotations) as Partial<Record<Job, pulumi.Output<Record<string, string>>>>,
    );
    this.registerOutputs({ annotations: this.annotations });
  }
}

function roleNameOf(region: string, job: Job): string {
  return `qdrant-dr-${region}-${job}`;
}

/** Of the role of a job, also before its stack has made it. */
export function roleArnOf(account: string, region: string, job: Job): string {
  return `arn:aws:iam::${account}:role/${roleNameOf(region, job)}`;
}

function buildTrustPolicy(
  { account, cluster, region }: AwsSettings,
  namespace: string,
  serviceAccount: string,
): string {
  if ("podIdentity" in cluster) {
    return policyJson([
      {
        Sid: "PodsOfTheServiceAccount",
        Effect: "Allow",
        Principal: { Service: "pods.eks.amazonaws.com" },
        Action: ["sts:AssumeRole", "sts:TagSession"],
        Condition: {
          StringEquals: {
            "aws:RequestTag/eks-cluster-arn": `arn:aws:eks:${region}:${account}:cluster/${cluster.podIdentity.name}`,
            "aws:RequestTag/kubernetes-namespace": namespace,
            "aws:RequestTag/kubernetes-service-account": serviceAccount,
          },
        },
      },
    ]);
  }
  const { issuer } = cluster.irsa;
  return policyJson([
    {
      Sid: "PodsOfTheServiceAccount",
      Effect: "Allow",
      Principal: { Federated: `arn:aws:iam::${account}:oidc-provider/${issuer}` },
      Action: "sts:AssumeRoleWithWebIdentity",
      Condition: {
        StringEquals: {
          [`${issuer}:aud`]: "sts.amazonaws.com",
          [`${issuer}:sub`]: `system:serviceaccount:${namespace}:${serviceAccount}`,
        },
      },
    },
  ]);
}
