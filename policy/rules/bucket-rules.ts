/** Buckets: who comes in, by which way, and what can never be undone. */
import { type DeclaredResource, eachOf, ofAll, ofType, type Props, type Rule, unless } from "../rule.ts";
import { allows, refusesAll, type Statement, statementsOf } from "../statements.ts";

const bucketType = "aws:s3/bucket:Bucket";

/** The part of a bucket that is a resource of its own. */
function partOf(bucket: DeclaredResource, type: string, all: readonly DeclaredResource[]): Props | undefined {
  return all.find((part) => part.type === `aws:s3/${type}` && part.props["bucket"] === bucket.props["bucket"])?.props;
}

function policyOf(bucket: DeclaredResource, all: readonly DeclaredResource[]): Statement[] {
  return statementsOf(partOf(bucket, "bucketPolicy:BucketPolicy", all)?.["policy"]);
}

function holds(bucket: DeclaredResource): string | undefined {
  return bucket.props["tags"]?.["qdrant-dr:holds"];
}

function objectsOf({ props }: DeclaredResource): string {
  return `arn:aws:s3:::${props["bucket"]}/*`;
}

const known = [
  "bucket:Bucket",
  "bucketLifecycleConfiguration:BucketLifecycleConfiguration",
  "bucketObjectLockConfiguration:BucketObjectLockConfiguration",
  "bucketOwnershipControls:BucketOwnershipControls",
  "bucketPolicy:BucketPolicy",
  "bucketPublicAccessBlock:BucketPublicAccessBlock",
  "bucketReplicationConfig:BucketReplicationConfig",
  "bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
  "bucketVersioning:BucketVersioning",
].map((type) => `aws:s3/${type}`);

const kinds = ["repository", "control", "audit", "state"];

const bucketsAreKnown: Rule = {
  name: "buckets-are-known",
  description:
    "Every bucket says what it holds, each of its parts is declared once, and there is nothing of S3 that no rule looks at.",
  violations(resources) {
    return [
      ...ofAll(({ type }) =>
        unless(!/^aws:s3[a-z]*\//.test(type) || known.includes(type), "no rule knows this part of S3"),
      )(resources),
      ...eachOf([bucketType], (bucket) =>
        unless(kinds.includes(holds(bucket) ?? ""), `its tag qdrant-dr:holds is none of ${kinds.join(", ")}`),
      )(resources),
      ...eachOf(known, ({ props, type }, all) =>
        unless(
          ofType(all, type).filter((other) => other.props["bucket"] === props["bucket"]).length === 1,
          "the bucket has another one: which holds is S3's choice",
        ),
      )(resources),
    ];
  },
};

const bucketsArePrivate: Rule = {
  name: "buckets-are-private",
  description: "No bucket lets anybody in whom no role names: public access blocked, ownership enforced.",
  violations: eachOf([bucketType], (bucket, all) => {
    const block = partOf(bucket, "bucketPublicAccessBlock:BucketPublicAccessBlock", all) ?? {};
    const ways = ["blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"];
    const ownership = partOf(bucket, "bucketOwnershipControls:BucketOwnershipControls", all)?.["rule"];
    const letsIn = policyOf(bucket, all).filter(
      (statement) => allows(statement) && (statement.principals.includes("*") || statement.negations.length > 0),
    );
    return [
      ...ways.filter((way) => block[way] !== true).map((way) => `public access: ${way} is not on`),
      ...unless(ownership?.objectOwnership === "BucketOwnerEnforced", "objects can belong to other accounts"),
      ...unless(letsIn.length === 0, "its policy lets everybody in"),
    ];
  }),
};

const bucketsSpeakTls: Rule = {
  name: "buckets-speak-tls",
  description: "Every bucket refuses plain HTTP.",
  violations: eachOf([bucketType], (bucket, all) =>
    unless(
      policyOf(bucket, all).some((statement) =>
        refusesAll(statement, {
          action: "s3:*",
          resources: [`arn:aws:s3:::${bucket.props["bucket"]}`, objectsOf(bucket)],
          conditions: { "bool aws:securetransport": "false" },
        }),
      ),
      "its policy does not refuse plain HTTP",
    ),
  ),
};

const bucketsAreEncrypted: Rule = {
  name: "buckets-are-encrypted",
  description: "Every bucket encrypts with a KMS key of its own choice.",
  violations: eachOf([bucketType], (bucket, all) => {
    const encryption = partOf(
      bucket,
      "bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
      all,
    );
    const { kmsMasterKeyId, sseAlgorithm } = encryption?.["rules"]?.[0]?.applyServerSideEncryptionByDefault ?? {};
    return unless(sseAlgorithm === "aws:kms" && Boolean(kmsMasterKeyId), "it is not encrypted with a KMS key");
  }),
};

const nothingExpires: Rule = {
  name: "nothing-expires",
  description:
    "Versions are kept, and no lifecycle touches a current one: only the product knows what a recovery point needs.",
  violations: eachOf([bucketType], (bucket, all) => {
    const versioning = partOf(bucket, "bucketVersioning:BucketVersioning", all)?.["versioningConfiguration"];
    const rules: Props[] =
      partOf(bucket, "bucketLifecycleConfiguration:BucketLifecycleConfiguration", all)?.["rules"] ?? [];
    return [
      ...unless(versioning?.status === "Enabled", "it keeps no versions"),
      ...rules
        .filter(({ expiration, transitions }) => expires(expiration) || (transitions ?? []).length > 0)
        .map(({ id }) => `its lifecycle rule ${id} touches current versions`),
    ];
  }),
};

/** A rule may tidy away delete markers of which nothing is left. */
function expires(expiration: Props | undefined): boolean {
  return (expiration?.["days"] ?? 0) > 0 || Boolean(expiration?.["date"]);
}

const nothingIsReplaced: Rule = {
  name: "nothing-is-replaced",
  description: "Repositories, control and audit stores refuse every write that could replace an object.",
  violations: eachOf([bucketType], (bucket, all) => {
    const held = holds(bucket);
    if (held === undefined || !["repository", "control", "audit"].includes(held)) return [];
    return unless(
      policyOf(bucket, all).some((statement) =>
        refusesAll(statement, {
          action: "s3:PutObject",
          resources: [objectsOf(bucket)],
          conditions: { "null s3:if-none-match": "true", "bool s3:objectcreationoperation": "true" },
        }),
      ),
      "its policy does not demand conditional writes",
    );
  }),
};

/**
 * For how many days a bucket locks at least what it is given without a lock. Recovery points are locked one by one, each as long as it is
 * kept: all that their bucket must do is to take locks, and to have a mode for them.
 */
const leastLockDays: Readonly<Record<string, number>> = { repository: 1, audit: 730 };

const lockedAsLongAsKept: Rule = {
  name: "locked-as-long-as-kept",
  description:
    "Recovery points can be locked, and are from the first day on; evidence is for two years; deletes are refused to everybody, but of versions to prunes of the repository.",
  violations: eachOf([bucketType], (bucket, all) => {
    const held = holds(bucket);
    const least = held === undefined ? undefined : leastLockDays[held];
    if (least === undefined) return [];
    const days = lockDaysOf(bucket, all);
    const deletes = ["s3:DeleteObject", "s3:DeleteObjectVersion", "s3:BypassGovernanceRetention"];
    const open = deletes.filter(
      (action) =>
        !policyOf(bucket, all).some((statement) => {
          const conditions =
            held === "repository" && action === "s3:DeleteObjectVersion" ? butOfPruners(statement) : {};
          return refusesAll(statement, { action, resources: [objectsOf(bucket)], conditions });
        }),
    );
    return [
      ...unless(bucket.props["objectLockEnabled"] === true, "Object Lock is not on"),
      ...unless(days >= least, `it locks for ${days} days, not for ${least}`),
      ...unless(lockModeOf(bucket, all) !== "GOVERNANCE", "its locks can be lifted: their mode is governance"),
      ...open.map((action) => `its policy does not refuse ${action}`),
    ];
  }),
};

/** The condition of a refusal that leaves out the roles of prunes and nobody else. */
function butOfPruners({ conditions }: Statement): Readonly<Record<string, string>> {
  const condition = "arnnotequals aws:principalarn";
  const roles = conditions[condition] ?? [];
  const areOfPrunes = roles.every((role) => /^arn:aws:iam::\d{12}:role\/[\w+=,.@-]+-prune(-stream)?$/.test(role));
  return roles.length > 0 && areOfPrunes ? { [condition]: roles.join() } : {};
}

function retentionOf(bucket: DeclaredResource, all: readonly DeclaredResource[]): Props {
  const lock = partOf(bucket, "bucketObjectLockConfiguration:BucketObjectLockConfiguration", all);
  return lock?.["rule"]?.defaultRetention ?? {};
}

function lockModeOf(bucket: DeclaredResource, all: readonly DeclaredResource[]): string | undefined {
  return retentionOf(bucket, all)["mode"];
}

function lockDaysOf(bucket: DeclaredResource, all: readonly DeclaredResource[]): number {
  const { days, mode, years } = retentionOf(bucket, all);
  return mode === undefined ? 0 : Number(days ?? 365 * (years ?? 0));
}

const replicationType = "aws:s3/bucketReplicationConfig:BucketReplicationConfig";

const replicasAreAsGood: Rule = {
  name: "replicas-are-as-good",
  description:
    "Replication tells when it is late, seals with a key of the other region, deletes nothing, and brings of Pulumi's state its own stack's alone.",
  violations: eachOf([replicationType], ({ props }, all) => {
    const bucketNamed = (name: string) =>
      all.find((other) => other.type === bucketType && other.props["bucket"] === name);
    const source = bucketNamed(props["bucket"]);
    const isOfState = source !== undefined && holds(source) === "state";
    return (props["rules"] as Props[]).flatMap(({ deleteMarkerReplication, destination, filter, id, status }) =>
      [
        ...unless(status === "Enabled", "it is off"),
        ...unless(destination.replicationTime?.status === "Enabled", "no replication time control"),
        ...unless(destination.metrics?.status === "Enabled", "no metrics"),
        ...unless(Boolean(destination.encryptionConfiguration?.replicaKmsKeyId), "no key for its replicas"),
        ...unless(deleteMarkerReplication?.status === "Disabled", "it replicates deletes"),
        ...unless(
          !isOfState || Boolean(filter?.prefix),
          "it replicates the whole state: who writes here would change what the other region's stack is",
        ),
      ].map((problem) => `rule ${id}: ${problem}`),
    );
  }),
};

export const bucketRules = [
  bucketsAreKnown,
  bucketsArePrivate,
  bucketsSpeakTls,
  bucketsAreEncrypted,
  nothingExpires,
  nothingIsReplaced,
  lockedAsLongAsKept,
  replicasAreAsGood,
];
