/** The policy of a job's role in S3: it reads what it needs and creates under the prefixes that it writes; only a prune deletes. */
import type { Job } from "../../runtime/domain/job-names.ts";
import { definitionOf, type RegionUse, storeKinds } from "../../runtime/domain/jobs.ts";
import { controlLayout, storeLayout } from "../../runtime/domain/recovery-points/store-layout.ts";
import type { AwsSettings } from "../../runtime/domain/settings/aws-settings.ts";
import { bucketArn, type Statement } from "./policy-document.ts";

/** The buckets and the key of one region. */
type Buckets = AwsSettings["peer"];

export interface JobStores extends Buckets {
  readonly peer: Buckets;
  /** The bucket of the gate's leases, encrypted with S3's own key: what it holds is no secret. */
  readonly witness?: string | undefined;
}

/** One of the regions that a job has to do with, as its statements name it. */
interface UsedRegion {
  readonly name: "Own" | "Peer";
  readonly use: RegionUse;
  readonly buckets: Buckets;
}

export function buildJobPolicy(job: Job, stores: JobStores): Statement[] {
  const { holdsLease, own, peer } = definitionOf(job);
  const regions: UsedRegion[] = [
    { name: "Own", use: own, buckets: stores },
    ...(peer === undefined ? [] : [{ name: "Peer" as const, use: peer, buckets: stores.peer }]),
  ];
  return [
    ...regions.flatMap(buildStoreStatements),
    ...buildKeyRefusals(regions),
    ...(holdsLease && stores.witness !== undefined ? buildLeaseStatements(stores.witness) : []),
  ];
}

function buildStoreStatements({ buckets, name, use: { deletes = [], stores } }: UsedRegion): Statement[] {
  const read = storeKinds.filter((kind) => stores[kind] !== undefined);
  const created = read.flatMap((kind) => (stores[kind] ?? []).map((prefix) => objectsUnder(buckets[kind], prefix)));
  return [
    ...buildReadStatements(
      name,
      read.map((kind) => buckets[kind]),
      buckets.keyArn,
    ),
    ...(created.length === 0 ? [] : buildCreateStatements(name, created, buckets.keyArn)),
    ...buildLockStatements(
      name,
      buckets.repository,
      [...(stores.repository ?? []), ...deletes.filter((prefix) => prefix !== storeLayout.stream)].filter(isLocked),
    ),
    ...(deletes.length === 0 ? [] : buildDeleteStatements(name, buckets.repository, deletes)),
  ];
}

const neverLocked = [storeLayout.sessions, storeLayout.journal];

function isLocked(prefix: string): boolean {
  return !neverLocked.some((never) => prefix.startsWith(never));
}

/** Locks are made and extended, and read back. None becomes shorter: that would take the right to bypass them. */
function buildLockStatements(region: UsedRegion["name"], bucket: string, prefixes: readonly string[]): Statement[] {
  if (prefixes.length === 0) return [];
  return [
    {
      Sid: `Lock${region}`,
      Effect: "Allow",
      Action: "s3:PutObjectRetention",
      Resource: prefixes.map((prefix) => objectsUnder(bucket, prefix)),
    },
    { Sid: `ReadLocks${region}`, Effect: "Allow", Action: "s3:GetObjectRetention", Resource: `${bucketArn(bucket)}/*` },
    {
      Sid: `LockRule${region}`,
      Effect: "Allow",
      Action: "s3:GetBucketObjectLockConfiguration",
      Resource: bucketArn(bucket),
    },
  ];
}

/** Of versions: an object whose versions are gone is gone, and nothing hides one behind a marker. */
function buildDeleteStatements(region: UsedRegion["name"], bucket: string, prefixes: readonly string[]): Statement[] {
  return [
    {
      Sid: `Delete${region}`,
      Effect: "Allow",
      Action: "s3:DeleteObjectVersion",
      Resource: prefixes.map((prefix) => objectsUnder(bucket, prefix)),
    },
    // Which of what is refused is locked, and until when.
    {
      Sid: `Locks${region}`,
      Effect: "Allow",
      Action: ["s3:GetObjectVersion", "s3:GetObjectRetention", "s3:GetObjectLegalHold"],
      Resource: prefixes.map((prefix) => objectsUnder(bucket, prefix)),
    },
    {
      Sid: `Versions${region}`,
      Effect: "Allow",
      Action: ["s3:ListBucketVersions", "s3:GetBucketVersioning"],
      Resource: bucketArn(bucket),
    },
  ];
}

function objectsUnder(bucket: string, prefix: string): string {
  // Also of a name of its own: what stands behind it is called after it.
  return `${bucketArn(bucket)}/${prefix}*`;
}

/** Without the right to list a bucket, an object that is not there is answered with a refusal instead. */
function buildReadStatements(region: UsedRegion["name"], buckets: readonly string[], keyArn: string): Statement[] {
  return [
    { Sid: `List${region}`, Effect: "Allow", Action: "s3:ListBucket", Resource: buckets.map(bucketArn) },
    {
      Sid: `Read${region}`,
      Effect: "Allow",
      Action: "s3:GetObject",
      Resource: buckets.map((bucket) => `${bucketArn(bucket)}/*`),
    },
    { Sid: `Open${region}`, Effect: "Allow", Action: "kms:Decrypt", ...throughS3(keyArn) },
  ];
}

const createOnly = { Null: { "s3:if-none-match": "false" } };

function buildCreateStatements(region: UsedRegion["name"], resources: readonly string[], keyArn: string): Statement[] {
  return [
    {
      Sid: `Create${region}`,
      Effect: "Allow",
      Action: "s3:PutObject",
      Resource: resources,
      Condition: createOnly,
    },
    { Sid: `Seal${region}`, Effect: "Allow", Action: "kms:GenerateDataKey", ...throughS3(keyArn) },
  ];
}

function buildLeaseStatements(witness: string): Statement[] {
  const objects = objectsUnder(witness, controlLayout.leases);
  return [
    { Sid: "ListLeases", Effect: "Allow", Action: "s3:ListBucket", Resource: bucketArn(witness) },
    { Sid: "ReadLeases", Effect: "Allow", Action: "s3:GetObject", Resource: objects },
    { Sid: "CreateLeases", Effect: "Allow", Action: "s3:PutObject", Resource: objects, Condition: createOnly },
  ];
}

/** A job that has no identity of a region has no business with the region's wrapped data keys. */
function buildKeyRefusals(regions: readonly UsedRegion[]): Statement[] {
  const resources = regions
    .filter(({ use }) => use.stores.control !== undefined && !use.secrets.includes("identity"))
    .map(({ buckets }) => objectsUnder(buckets.control, controlLayout.keys));
  if (resources.length === 0) return [];
  return [{ Sid: "LeaveKeys", Effect: "Deny", Action: "s3:GetObject", Resource: resources }];
}

function throughS3(keyArn: string): Pick<Statement, "Resource" | "Condition"> {
  const region = keyArn.split(":")[3];
  return { Resource: keyArn, Condition: { StringEquals: { "kms:ViaService": `s3.${region}.amazonaws.com` } } };
}
