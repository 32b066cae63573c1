import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import { buildBucketPolicy, type LockDays, type Pruners, type ReplicaOf } from "./bucket-policy.ts";
import { policyOf } from "./policy-document.ts";

export interface BucketLock {
  readonly mode: "compliance" | "governance";
  /** How long an object is locked of which nobody says for how long. */
  readonly days: number;
  /** How long objects may be locked when somebody says. */
  readonly allowed: LockDays;
}

export interface StoreBucketArgs {
  readonly bucket: string;
  /** What it is for: written on it, so that rules know what they look at. */
  readonly holds: "repository" | "control" | "audit" | "state";
  /** KMS key in the bucket's region. */
  readonly keyArn: pulumi.Input<string>;
  /** Whether every write has to be one that cannot replace an object. */
  readonly createOnly: boolean;
  /** @default none */
  readonly lock?: BucketLock | undefined;
  /** @default nothing is told to come from another bucket */
  readonly replicaOf?: ReplicaOf | undefined;
  /** Who deletes what is not locked any more. @default nobody */
  readonly pruners?: Pruners | undefined;
  /** Days for which versions that are no longer current are kept. */
  readonly noncurrentDays: number;
  readonly tags: Readonly<Record<string, string>>;
}

/**
 * A bucket that keeps what it is given: versioned, encrypted, private, over TLS only; on demand locked and create-only.
 * It is kept, with what it holds, when its stack is destroyed.
 */
export class StoreBucket extends pulumi.ComponentResource {
  /** The bucket's name, once all of its guards stand. */
  readonly bucket: pulumi.Output<string>;
  readonly arn: pulumi.Output<string>;

  constructor(name: string, args: StoreBucketArgs, opts?: pulumi.ComponentResourceOptions) {
    super("qdrant-dr:aws:StoreBucket", name, {}, pulumi.mergeOptions({ protect: true, retainOnDelete: true }, opts));
    const { createOnly, holds, keyArn, lock, noncurrentDays, pruners, replicaOf } = args;
    const tags = { ...args.tags, "qdrant-dr:holds": holds };
    const child = { parent: this };

    const made = new aws.s3.Bucket(
      `${name}-bucket`,
      { bucket: args.bucket, objectLockEnabled: lock !== undefined, forceDestroy: false, tags },
      child,
    );
    const bucket = made.bucket;
    const versioning = new aws.s3.BucketVersioning(
      `${name}-versioning`,
      { bucket, versioningConfiguration: { status: "Enabled" } },
      child,
    );
    const ownership = new aws.s3.BucketOwnershipControls(
      `${name}-ownership`,
      { bucket, rule: { objectOwnership: "BucketOwnerEnforced" } },
      child,
    );
    const publicAccess = new aws.s3.BucketPublicAccessBlock(
      `${name}-public-access`,
      { bucket, blockPublicAcls: true, blockPublicPolicy: true, ignorePublicAcls: true, restrictPublicBuckets: true },
      child,
    );
    const encryption = new aws.s3.BucketServerSideEncryptionConfiguration(
      `${name}-encryption`,
      {
        bucket,
        rules: [
          {
            applyServerSideEncryptionByDefault: { sseAlgorithm: "aws:kms", kmsMasterKeyId: keyArn },
            bucketKeyEnabled: true,
          },
        ],
      },
      child,
    );
    const afterVersioning = { parent: this, dependsOn: [versioning] };
    const lifecycle = new aws.s3.BucketLifecycleConfiguration(
      `${name}-lifecycle`,
      { bucket, rules: buildLifecycleRules(noncurrentDays) },
      afterVersioning,
    );
    const locked =
      lock === undefined
        ? []
        : [
            new aws.s3.BucketObjectLockConfiguration(
              `${name}-lock`,
              { bucket, rule: { defaultRetention: { mode: lock.mode.toUpperCase(), days: lock.days } } },
              afterVersioning,
            ),
          ];
    // S3 refuses two changes of who may come in at once.
    const policy = new aws.s3.BucketPolicy(
      `${name}-policy`,
      {
        bucket,
        policy: policyOf(keyArn, (key) =>
          buildBucketPolicy({
            bucket: args.bucket,
            keyArn: key,
            createOnly,
            lockDays: lock?.allowed,
            pruners,
            replicaOf,
          }),
        ),
      },
      { parent: this, dependsOn: [publicAccess, ownership] },
    );

    const guards = [versioning, ownership, publicAccess, encryption, lifecycle, policy, ...locked];
    this.bucket = pulumi.all([bucket, ...guards.map(({ id }) => id)]).apply(([ready]) => ready as string);
    this.arn = made.arn;
    this.registerOutputs({ bucket: this.bucket, arn: this.arn });
  }
}

/** Current versions are the product's to delete, never a lifecycle's. */
function buildLifecycleRules(noncurrentDays: number) {
  return [
    {
      id: "noncurrent-versions",
      status: "Enabled",
      filter: { prefix: "" },
      noncurrentVersionExpiration: { noncurrentDays },
    },
    {
      id: "aborted-uploads",
      status: "Enabled",
      filter: { prefix: "" },
      abortIncompleteMultipartUpload: { daysAfterInitiation: 7 },
    },
  ];
}
