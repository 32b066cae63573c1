/** The types of AWS resources that have a stand-in, and the calls that each of them comes to. */
import { randomUUID } from "node:crypto";
import {
  CreatePodIdentityAssociationCommand,
  DeletePodIdentityAssociationCommand,
  EKSClient,
  UpdatePodIdentityAssociationCommand,
} from "@aws-sdk/client-eks";
import {
  CreateRoleCommand,
  DeleteRoleCommand,
  DeleteRolePolicyCommand,
  GetRoleCommand,
  IAMClient,
  PutRolePolicyCommand,
  UpdateAssumeRolePolicyCommand,
} from "@aws-sdk/client-iam";
import {
  CreateAliasCommand,
  CreateKeyCommand,
  DeleteAliasCommand,
  DescribeKeyCommand,
  EnableKeyRotationCommand,
  KMSClient,
  PutKeyPolicyCommand,
  ReplicateKeyCommand,
  ScheduleKeyDeletionCommand,
  UpdateAliasCommand,
} from "@aws-sdk/client-kms";
import {
  ChangeResourceRecordSetsCommand,
  CreateHealthCheckCommand,
  DeleteHealthCheckCommand,
  GetHealthCheckCommand,
  type HealthCheckConfig,
  type ResourceRecordSet,
  Route53Client,
  UpdateHealthCheckCommand,
} from "@aws-sdk/client-route-53";
import {
  type BucketLocationConstraint,
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteBucketEncryptionCommand,
  DeleteBucketLifecycleCommand,
  DeleteBucketOwnershipControlsCommand,
  DeleteBucketPolicyCommand,
  DeleteBucketReplicationCommand,
  DeletePublicAccessBlockCommand,
  HeadBucketCommand,
  PutBucketEncryptionCommand,
  PutBucketLifecycleConfigurationCommand,
  PutBucketOwnershipControlsCommand,
  PutBucketPolicyCommand,
  PutBucketReplicationCommand,
  PutBucketTaggingCommand,
  PutBucketVersioningCommand,
  PutObjectLockConfigurationCommand,
  PutPublicAccessBlockCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { isRecord, type Properties } from "./stand-in.ts";

export interface AwsClients {
  readonly region: string;
  readonly eks: EKSClient;
  readonly iam: IAMClient;
  readonly kms: KMSClient;
  readonly route53: Route53Client;
  readonly s3: S3Client;
}

export function awsClients(region: string): AwsClients {
  const [eks, iam, kms] = [new EKSClient({ region }), new IAMClient({ region }), new KMSClient({ region })];
  const [route53, s3] = [new Route53Client({ region }), new S3Client({ region, forcePathStyle: true })];
  return { region, eks, iam, kms, route53, s3 };
}

interface AwsKind {
  readonly replacing: readonly string[];
  /** Facts are what only AWS knows. */
  create(aws: AwsClients, inputs: Properties): Promise<{ readonly id: string; readonly facts?: Properties }>;
  update(aws: AwsClients, change: { id: string; news: Properties; olds: Properties }): Promise<void>;
  delete(aws: AwsClients, id: string, state: Properties): Promise<void>;
  exists?(aws: AwsClients, id: string): Promise<boolean>;
}

// biome-ignore lint/suspicious/noExplicitAny: names and shapes are turned into the SDK's, which the emulator judges
type Shaped = any;

const bucket: AwsKind = {
  replacing: ["bucket", "objectLockEnabled"],
  async create({ region, s3 }, inputs) {
    const Bucket = String(inputs["bucket"]);
    const elsewhere = { CreateBucketConfiguration: { LocationConstraint: region as BucketLocationConstraint } };
    const ObjectLockEnabledForBucket = inputs["objectLockEnabled"] === true;
    const where = region === "us-east-1" ? {} : elsewhere;
    await s3.send(new CreateBucketCommand({ Bucket, ObjectLockEnabledForBucket, ...where }));
    await putTags(s3, Bucket, inputs);
    return { id: Bucket, facts: { arn: `arn:aws:s3:::${Bucket}` } };
  },
  update: ({ s3 }, { id, news }) => putTags(s3, id, news),
  async delete({ s3 }, Bucket) {
    await s3.send(new DeleteBucketCommand({ Bucket }));
  },
  exists: ({ s3 }, Bucket) => found(s3.send(new HeadBucketCommand({ Bucket }))),
};

async function putTags(s3: S3Client, Bucket: string, inputs: Properties): Promise<void> {
  await s3.send(new PutBucketTaggingCommand({ Bucket, Tagging: { TagSet: tagsOf(inputs, "Key", "Value") } }));
}

/** What is set on a bucket is put as a whole, each time. */
function ofBucket(
  put: (s3: S3Client, Bucket: string, settings: Shaped) => Promise<unknown>,
  remove: (s3: S3Client, Bucket: string) => Promise<unknown>,
): AwsKind {
  const apply = ({ s3 }: AwsClients, { bucket: name, region: _, ...settings }: Properties) =>
    put(s3, String(name), shaped(settings));
  return {
    replacing: ["bucket"],
    async create(aws, inputs) {
      await apply(aws, inputs);
      return { id: String(inputs["bucket"]) };
    },
    async update(aws, { news }) {
      await apply(aws, news);
    },
    async delete({ s3 }, id) {
      await remove(s3, id);
    },
  };
}

const role: AwsKind = {
  replacing: ["name", "path"],
  async create({ iam }, inputs) {
    const { assumeRolePolicy, description, maxSessionDuration, name, path, permissionsBoundary } = inputs as Shaped;
    const answer = await iam.send(
      new CreateRoleCommand({
        RoleName: name,
        AssumeRolePolicyDocument: document(assumeRolePolicy),
        Description: description,
        MaxSessionDuration: maxSessionDuration,
        Path: path,
        PermissionsBoundary: permissionsBoundary,
        Tags: tagsOf(inputs, "Key", "Value"),
      }),
    );
    return { id: name, facts: { arn: answer.Role?.Arn, uniqueId: answer.Role?.RoleId } };
  },
  async update({ iam }, { id, news }) {
    const PolicyDocument = document(news["assumeRolePolicy"]);
    await iam.send(new UpdateAssumeRolePolicyCommand({ RoleName: id, PolicyDocument }));
  },
  async delete({ iam }, id) {
    await iam.send(new DeleteRoleCommand({ RoleName: id }));
  },
  exists: ({ iam }, id) => found(iam.send(new GetRoleCommand({ RoleName: id }))),
};

const rolePolicy: AwsKind = {
  replacing: ["name", "role"],
  async create({ iam }, { name, policy, role: roleName }) {
    const named = { RoleName: String(roleName), PolicyName: String(name) };
    await iam.send(new PutRolePolicyCommand({ ...named, PolicyDocument: document(policy) }));
    return { id: `${roleName}:${name}` };
  },
  async update(aws, { news }) {
    await this.create(aws, news);
  },
  async delete({ iam }, _id, { name, role: roleName }) {
    await iam.send(new DeleteRolePolicyCommand({ RoleName: String(roleName), PolicyName: String(name) }));
  },
};

const key: AwsKind = {
  replacing: ["multiRegion"],
  async create({ kms }, inputs) {
    const { description, multiRegion, policy } = inputs as Shaped;
    const answer = await kms.send(
      new CreateKeyCommand({
        Description: description,
        MultiRegion: multiRegion === true,
        Policy: policy,
        Tags: tagsOf(inputs, "TagKey", "TagValue"),
      }),
    );
    const KeyId = String(answer.KeyMetadata?.KeyId);
    if (inputs["enableKeyRotation"] === true) await kms.send(new EnableKeyRotationCommand({ KeyId }));
    return { id: KeyId, facts: { arn: answer.KeyMetadata?.Arn, keyId: KeyId } };
  },
  update: putKeyPolicy,
  delete: forgetKey,
  exists: ({ kms }, KeyId) => found(kms.send(new DescribeKeyCommand({ KeyId }))),
};

const replicaKey: AwsKind = {
  replacing: ["primaryKeyArn"],
  async create({ region }, { description, policy, primaryKeyArn }) {
    // "arn:aws:kms:<region>:<account>:key/<id>": the primary's region is asked.
    const [, , , primaryRegion = "", , resource = ""] = String(primaryKeyArn).split(":");
    const answer = await awsClients(primaryRegion).kms.send(
      new ReplicateKeyCommand({
        KeyId: resource.replace("key/", ""),
        ReplicaRegion: region,
        Description: description as string,
        Policy: policy as string,
      }),
    );
    const { Arn, KeyId } = answer.ReplicaKeyMetadata ?? {};
    return { id: String(KeyId), facts: { arn: Arn, keyId: KeyId } };
  },
  update: putKeyPolicy,
  delete: forgetKey,
};

async function putKeyPolicy({ kms }: AwsClients, { id, news }: { id: string; news: Properties }): Promise<void> {
  const Policy = document(news["policy"]);
  await kms.send(new PutKeyPolicyCommand({ KeyId: id, PolicyName: "default", Policy }));
}

async function forgetKey({ kms }: AwsClients, KeyId: string, { deletionWindowInDays: days }: Properties) {
  await kms.send(new ScheduleKeyDeletionCommand({ KeyId, PendingWindowInDays: Number(days ?? 30) }));
}

const alias: AwsKind = {
  replacing: ["name"],
  async create({ kms }, { name, targetKeyId }) {
    await kms.send(new CreateAliasCommand({ AliasName: String(name), TargetKeyId: String(targetKeyId) }));
    return { id: String(name) };
  },
  async update({ kms }, { id, news }) {
    await kms.send(new UpdateAliasCommand({ AliasName: id, TargetKeyId: String(news["targetKeyId"]) }));
  },
  async delete({ kms }, AliasName) {
    await kms.send(new DeleteAliasCommand({ AliasName }));
  },
};

const podIdentityAssociation: AwsKind = {
  replacing: ["clusterName", "namespace", "serviceAccount"],
  async create({ eks }, { region: _, tags, ...inputs }) {
    const command = new CreatePodIdentityAssociationCommand({ ...(inputs as Shaped), tags: tags as Shaped });
    const { association } = await eks.send(command);
    const associationId = String(association?.associationId);
    return { id: associationId, facts: { associationId, associationArn: association?.associationArn } };
  },
  async update({ eks }, { id, news }) {
    const { clusterName, roleArn } = news as Shaped;
    await eks.send(new UpdatePodIdentityAssociationCommand({ clusterName, associationId: id, roleArn }));
  },
  async delete({ eks }, associationId, { clusterName }) {
    await eks.send(new DeletePodIdentityAssociationCommand({ clusterName: String(clusterName), associationId }));
  },
};

const healthCheck: AwsKind = {
  replacing: ["type", "requestInterval"],
  async create({ route53 }, inputs) {
    const command = new CreateHealthCheckCommand({
      CallerReference: randomUUID(),
      HealthCheckConfig: healthCheckConfig(inputs) as HealthCheckConfig,
    });
    return { id: String((await route53.send(command)).HealthCheck?.Id) };
  },
  async update({ route53 }, { id, news }) {
    const { RequestInterval: _, Type: _type, ...config } = healthCheckConfig(news);
    await route53.send(new UpdateHealthCheckCommand({ HealthCheckId: id, ...config }));
  },
  async delete({ route53 }, HealthCheckId) {
    await route53.send(new DeleteHealthCheckCommand({ HealthCheckId }));
  },
  exists: ({ route53 }, HealthCheckId) => found(route53.send(new GetHealthCheckCommand({ HealthCheckId }))),
};

function healthCheckConfig({ failureThreshold, fqdn, port, requestInterval, resourcePath, type }: Properties): Shaped {
  return {
    Type: type,
    FullyQualifiedDomainName: fqdn,
    Port: port,
    ResourcePath: resourcePath,
    RequestInterval: requestInterval,
    FailureThreshold: failureThreshold,
  };
}

const record: AwsKind = {
  replacing: ["zoneId", "name", "type", "setIdentifier"],
  async create({ route53 }, inputs) {
    await route53.send(changeOf(inputs["allowOverwrite"] === true ? "UPSERT" : "CREATE", inputs));
    const { name, setIdentifier, type, zoneId } = inputs as Shaped;
    return { id: [zoneId, name, type, setIdentifier].join("_"), facts: { fqdn: name } };
  },
  async update({ route53 }, { news }) {
    await route53.send(changeOf("UPSERT", news));
  },
  async delete({ route53 }, _id, state) {
    await route53.send(changeOf("DELETE", state));
  },
};

function changeOf(action: "CREATE" | "UPSERT" | "DELETE", inputs: Properties): ChangeResourceRecordSetsCommand {
  const { healthCheckId, name, records, setIdentifier, ttl, type, weightedRoutingPolicies, zoneId } = inputs as Shaped;
  const record: ResourceRecordSet = {
    Name: name,
    Type: type,
    TTL: ttl,
    ResourceRecords: records.map((Value: string) => ({ Value })),
    SetIdentifier: setIdentifier,
    Weight: weightedRoutingPolicies?.[0]?.weight,
    ...(healthCheckId === undefined ? {} : { HealthCheckId: healthCheckId }),
  };
  const ChangeBatch = { Changes: [{ Action: action, ResourceRecordSet: record }] };
  return new ChangeResourceRecordSetsCommand({ HostedZoneId: zoneId, ChangeBatch });
}

export const awsKinds: Readonly<Record<string, AwsKind>> = {
  "aws:s3/bucket:Bucket": bucket,
  "aws:s3/bucketVersioning:BucketVersioning": ofBucket(
    (s3, Bucket, settings) => s3.send(new PutBucketVersioningCommand({ Bucket, ...settings })),
    (s3, Bucket) =>
      s3.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: "Suspended" } })),
  ),
  "aws:s3/bucketOwnershipControls:BucketOwnershipControls": ofBucket(
    (s3, Bucket, { Rule }) =>
      s3.send(new PutBucketOwnershipControlsCommand({ Bucket, OwnershipControls: { Rules: [Rule] } })),
    (s3, Bucket) => s3.send(new DeleteBucketOwnershipControlsCommand({ Bucket })),
  ),
  "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": ofBucket(
    (s3, Bucket, PublicAccessBlockConfiguration) =>
      s3.send(new PutPublicAccessBlockCommand({ Bucket, PublicAccessBlockConfiguration })),
    (s3, Bucket) => s3.send(new DeletePublicAccessBlockCommand({ Bucket })),
  ),
  "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": ofBucket(
    (s3, Bucket, ServerSideEncryptionConfiguration) =>
      s3.send(new PutBucketEncryptionCommand({ Bucket, ServerSideEncryptionConfiguration })),
    (s3, Bucket) => s3.send(new DeleteBucketEncryptionCommand({ Bucket })),
  ),
  "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration": ofBucket(
    (s3, Bucket, { Rule }) =>
      s3.send(
        new PutObjectLockConfigurationCommand({
          Bucket,
          ObjectLockConfiguration: { ObjectLockEnabled: "Enabled", Rule },
        }),
      ),
    // It cannot be taken back.
    async () => {},
  ),
  "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": ofBucket(
    (s3, Bucket, LifecycleConfiguration) =>
      s3.send(new PutBucketLifecycleConfigurationCommand({ Bucket, LifecycleConfiguration })),
    (s3, Bucket) => s3.send(new DeleteBucketLifecycleCommand({ Bucket })),
  ),
  "aws:s3/bucketPolicy:BucketPolicy": ofBucket(
    (s3, Bucket, { Policy }) => s3.send(new PutBucketPolicyCommand({ Bucket, Policy: document(Policy) })),
    (s3, Bucket) => s3.send(new DeleteBucketPolicyCommand({ Bucket })),
  ),
  "aws:s3/bucketReplicationConfig:BucketReplicationConfig": ofBucket(
    (s3, Bucket, ReplicationConfiguration) =>
      s3.send(new PutBucketReplicationCommand({ Bucket, ReplicationConfiguration })),
    (s3, Bucket) => s3.send(new DeleteBucketReplicationCommand({ Bucket })),
  ),
  "aws:kms/key:Key": key,
  "aws:kms/replicaKey:ReplicaKey": replicaKey,
  "aws:kms/alias:Alias": alias,
  "aws:iam/role:Role": role,
  "aws:iam/rolePolicy:RolePolicy": rolePolicy,
  "aws:eks/podIdentityAssociation:PodIdentityAssociation": podIdentityAssociation,
  "aws:route53/healthCheck:HealthCheck": healthCheck,
  "aws:route53/record:Record": record,
};

/** Where AWS writes a name in other letters than the provider does. */
const lettersOfAws: Readonly<Record<string, string>> = {
  id: "ID",
  kmsMasterKeyId: "KMSMasterKeyID",
  replicaKmsKeyId: "ReplicaKmsKeyID",
  sseAlgorithm: "SSEAlgorithm",
};

function shaped(value: unknown): Shaped {
  if (Array.isArray(value)) return value.map(shaped);
  if (!isRecord(value)) return value;
  const rename = (name: string) => lettersOfAws[name] ?? `${name.charAt(0).toUpperCase()}${name.slice(1)}`;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [rename(name), shaped(member)]));
}

/** The SDK's types for tags differ in their names only. */
function tagsOf({ tags = {} }: Properties, name: string, value: string): Shaped {
  return Object.entries(tags as Properties).map(([tag, text]) => ({ [name]: tag, [value]: text }));
}

/** A policy, which must be JSON: AWS refuses other documents. */
function document(policy: unknown): string {
  const text = typeof policy === "string" ? policy : JSON.stringify(policy);
  JSON.parse(text);
  return text;
}

async function found(asked: Promise<unknown>): Promise<boolean> {
  try {
    await asked;
    return true;
  } catch (error) {
    const { $metadata, name } = error as { $metadata?: { httpStatusCode?: number }; name?: string };
    if ($metadata?.httpStatusCode === 404 || name === "NotFoundException") return false;
    throw error;
  }
}
