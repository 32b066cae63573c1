/** The policy of a bucket: it refuses requests, whatever roles are allowed. */
import { prunedHistory } from "../../runtime/domain/jobs.ts";
import { bucketArn, type Statement } from "./policy-document.ts";

export interface BucketRules {
  readonly bucket: string;
  readonly keyArn: string;
  /** Refuses whatever could replace an object. */
  readonly createOnly: boolean;
  /** Refuses deletes, and locks that are shorter or longer than these. */
  readonly lockDays?: LockDays | undefined;
  /** ARNs of the roles that delete what is not locked any more; nobody does when left out. */
  readonly pruners?: Pruners | undefined;
  readonly replicaOf?: ReplicaOf | undefined;
}

/** A part of a bucket that S3 fills out of another one, and nobody else. */
export interface ReplicaOf {
  readonly prefix: string;
  readonly roleArn: string;
}

/** How long objects may be locked, from the time at which they are. */
export interface LockDays {
  /** Left out: each object is locked as long as who stores it says. */
  readonly least?: number | undefined;
  readonly most: number;
}

export interface Pruners {
  readonly ofHistory: string;
  readonly ofStream: string;
}

export function buildBucketPolicy({
  bucket,
  createOnly,
  keyArn,
  lockDays,
  pruners,
  replicaOf,
}: BucketRules): Statement[] {
  return [
    ...buildTransportStatements(bucket),
    ...buildEncryptionStatements(bucket, keyArn),
    ...(createOnly ? [buildCreateOnlyStatement(bucket)] : []),
    ...(lockDays === undefined ? [] : buildLockStatements(bucket, lockDays, pruners)),
    ...(replicaOf === undefined ? [] : buildReplicaStatements(bucket, replicaOf)),
  ];
}

function buildTransportStatements(bucket: string): Statement[] {
  const everything = { Action: "s3:*", Resource: [bucketArn(bucket), `${bucketArn(bucket)}/*`] };
  return [
    {
      Sid: "RefusePlainHttp",
      Effect: "Deny",
      Principal: "*",
      ...everything,
      Condition: { Bool: { "aws:SecureTransport": "false" } },
    },
    {
      Sid: "RefuseOldTls",
      Effect: "Deny",
      Principal: "*",
      ...everything,
      Condition: { NumericLessThan: { "s3:TlsVersion": "1.2" } },
    },
  ];
}

/** A write that says nothing of encryption gets the bucket's own; one that names another way or key is refused. */
function buildEncryptionStatements(bucket: string, keyArn: string): Statement[] {
  const write = { Effect: "Deny", Principal: "*", Action: "s3:PutObject", Resource: `${bucketArn(bucket)}/*` } as const;
  const way = "s3:x-amz-server-side-encryption";
  const key = "s3:x-amz-server-side-encryption-aws-kms-key-id";
  const customer = "s3:x-amz-server-side-encryption-customer-algorithm";
  return [
    {
      Sid: "RefuseOtherEncryption",
      ...write,
      Condition: { Null: { [way]: "false" }, StringNotEquals: { [way]: "aws:kms" } },
    },
    { Sid: "RefuseOtherKeys", ...write, Condition: { Null: { [key]: "false" }, StringNotEquals: { [key]: keyArn } } },
    { Sid: "RefuseKeysOfClients", ...write, Condition: { Null: { [customer]: "false" } } },
  ];
}

/** Parts of a multipart upload carry no condition; the request that makes the object of them does. */
function buildCreateOnlyStatement(bucket: string): Statement {
  return {
    Sid: "RefuseWritesThatCouldReplace",
    Effect: "Deny",
    Principal: "*",
    Action: "s3:PutObject",
    Resource: `${bucketArn(bucket)}/*`,
    Condition: { Null: { "s3:if-none-match": "true" }, Bool: { "s3:ObjectCreationOperation": "true" } },
  };
}

/** Of a version that is deleted nothing is left, and no marker that would let another object take its place. */
function buildVersionStatements(bucket: string, { ofHistory, ofStream }: Pruners): Statement[] {
  const refuse = (Sid: string, Resource: string | readonly string[], but: readonly string[]): Statement => ({
    Sid,
    Effect: "Deny",
    Principal: "*",
    Resource,
    Action: "s3:DeleteObjectVersion",
    Condition: { ArnNotEquals: { "aws:PrincipalArn": but } },
  });
  const history = prunedHistory.map((prefix) => `${bucketArn(bucket)}/${prefix}*`);
  return [
    refuse("RefuseDeletesOfVersions", `${bucketArn(bucket)}/*`, [ofHistory, ofStream]),
    refuse("RefuseDeletesOfHistory", history, [ofHistory]),
  ];
}

function buildLockStatements(bucket: string, { least, most }: LockDays, pruners: Pruners | undefined): Statement[] {
  const remaining = "s3:object-lock-remaining-retention-days";
  const objects = { Effect: "Deny", Principal: "*", Resource: `${bucketArn(bucket)}/*` } as const;
  return [
    // A delete marker would let a conditional write put another object in an old one's place.
    {
      Sid: "RefuseDeletes",
      ...objects,
      Action: [
        "s3:DeleteObject",
        ...(pruners === undefined ? ["s3:DeleteObjectVersion"] : []),
        "s3:BypassGovernanceRetention",
        "s3:PutObjectLegalHold",
      ],
    },
    ...(pruners === undefined ? [] : buildVersionStatements(bucket, pruners)),
    {
      Sid: "RefuseLongerLocks",
      ...objects,
      Action: ["s3:PutObject", "s3:PutObjectRetention"],
      Condition: { NumericGreaterThan: { [remaining]: String(most) } },
    },
    ...(least === undefined
      ? []
      : [
          {
            Sid: "RefuseShorterLocks",
            ...objects,
            Action: ["s3:PutObject", "s3:PutObjectRetention"],
            // The day that has begun may count as over.
            Condition: { NumericLessThan: { [remaining]: String(least - 1) } },
          },
        ]),
  ];
}

/** A replica is read by people, who go on from it when its region is lost: nobody else writes it. */
function buildReplicaStatements(bucket: string, { prefix, roleArn }: ReplicaOf): Statement[] {
  return [
    {
      Sid: "RefuseWritesIntoTheReplica",
      Effect: "Deny",
      Principal: "*",
      Action: ["s3:PutObject", "s3:DeleteObject"],
      Resource: `${bucketArn(bucket)}/${prefix}*`,
    },
    {
      Sid: "RefuseReplicasOfOthers",
      Effect: "Deny",
      Principal: "*",
      Action: ["s3:ReplicateObject", "s3:ReplicateDelete", "s3:ReplicateTags"],
      Resource: `${bucketArn(bucket)}/*`,
      Condition: { ArnNotEquals: { "aws:PrincipalArn": roleArn } },
    },
  ];
}
