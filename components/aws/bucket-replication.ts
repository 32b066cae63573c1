import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import { bucketArn, policyJson, policyOf, type Statement } from "./policy-document.ts";

interface Side {
  readonly bucket: string;
  /** The AWS region the bucket is in. */
  readonly region: string;
  readonly keyArn: pulumi.Input<string>;
  /** Resolves when the bucket can take part. */
  readonly ready: pulumi.Input<string>;
}

export interface BucketReplicationArgs {
  readonly account: string;
  readonly roleName: string;
  readonly from: Side;
  readonly to: Side;
  /** Keys that begin with one of these are replicated. What is deleted here stays there. */
  readonly prefixes: readonly string[];
  readonly tags: Readonly<Record<string, string>>;
}

/** S3 replicates a bucket into another region, within 15 minutes and with metrics that tell, by a role that can do only this. */
export class BucketReplication extends pulumi.ComponentResource {
  constructor(name: string, args: BucketReplicationArgs, opts?: pulumi.ComponentResourceOptions) {
    super("qdrant-dr:aws:BucketReplication", name, {}, opts);
    const { account, from, prefixes, roleName, tags, to } = args;
    const child = { parent: this };

    const role = new aws.iam.Role(
      `${name}-role`,
      {
        name: roleName,
        description: `S3 replicates ${from.bucket} into ${to.bucket}`,
        assumeRolePolicy: buildTrustPolicy(account, from.bucket),
        tags,
      },
      child,
    );
    const permissions = new aws.iam.RolePolicy(
      `${name}-permissions`,
      {
        role: role.name,
        name: "replicate",
        policy: policyOf({ source: from.keyArn, replica: to.keyArn }, (keys) =>
          buildReplicationPolicy({ ...from, keyArn: keys.source }, { ...to, keyArn: keys.replica }, prefixes),
        ),
      },
      child,
    );
    new aws.s3.BucketReplicationConfig(
      `${name}-rules`,
      {
        bucket: from.ready,
        role: role.arn,
        rules: prefixes.map((prefix, index) => ({
          id: prefix.replace(/\/$/, ""),
          priority: index + 1,
          status: "Enabled",
          filter: { prefix },
          deleteMarkerReplication: { status: "Disabled" },
          sourceSelectionCriteria: { sseKmsEncryptedObjects: { status: "Enabled" } },
          destination: {
            bucket: pulumi.output(to.ready).apply(bucketArn),
            encryptionConfiguration: { replicaKmsKeyId: to.keyArn },
            replicationTime: { status: "Enabled", time: { minutes: 15 } },
            metrics: { status: "Enabled", eventThreshold: { minutes: 15 } },
          },
        })),
      },
      { parent: this, dependsOn: [permissions] },
    );
    this.registerOutputs();
  }
}

function buildTrustPolicy(account: string, bucket: string): string {
  return policyJson([
    {
      Sid: "S3OnBehalfOfTheBucket",
      Effect: "Allow",
      Principal: { Service: "s3.amazonaws.com" },
      Action: "sts:AssumeRole",
      Condition: { StringEquals: { "aws:SourceAccount": account }, ArnEquals: { "aws:SourceArn": bucketArn(bucket) } },
    },
  ]);
}

interface KnownSide {
  readonly bucket: string;
  readonly region: string;
  readonly keyArn: string;
}

function buildReplicationPolicy(from: KnownSide, to: KnownSide, prefixes: readonly string[]): Statement[] {
  const below = (bucket: string) => prefixes.map((prefix) => `${bucketArn(bucket)}/${prefix}*`);
  return [
    {
      Sid: "ReadTheRules",
      Effect: "Allow",
      Action: ["s3:GetReplicationConfiguration", "s3:ListBucket"],
      Resource: bucketArn(from.bucket),
    },
    {
      Sid: "ReadVersions",
      Effect: "Allow",
      Action: [
        "s3:GetObjectVersionForReplication",
        "s3:GetObjectVersionAcl",
        "s3:GetObjectVersionTagging",
        "s3:GetObjectRetention",
        "s3:GetObjectLegalHold",
      ],
      Resource: below(from.bucket),
    },
    {
      Sid: "WriteReplicas",
      Effect: "Allow",
      Action: ["s3:ReplicateObject", "s3:ReplicateTags"],
      Resource: below(to.bucket),
    },
    { Sid: "OpenSources", Effect: "Allow", Action: "kms:Decrypt", ...keyOf(from) },
    { Sid: "SealReplicas", Effect: "Allow", Action: ["kms:Encrypt", "kms:GenerateDataKey"], ...keyOf(to) },
  ];
}

/** The key, through S3 only and for this bucket only. */
function keyOf({ bucket, keyArn, region }: KnownSide): Pick<Statement, "Resource" | "Condition"> {
  return {
    Resource: keyArn,
    Condition: {
      StringEquals: { "kms:ViaService": `s3.${region}.amazonaws.com` },
      StringLike: { "kms:EncryptionContext:aws:s3:arn": [bucketArn(bucket), `${bucketArn(bucket)}/*`] },
    },
  };
}
