/** Rules that let what holds data outlive its stack, and its region. */
import { eachOf, ofAll, ofType, type Rule, unless } from "../rule.ts";
import { allows, type Statement, statementsOf } from "../statements.ts";

const keyType = "aws:kms/key:Key";
const replicaKeyType = "aws:kms/replicaKey:ReplicaKey";
/** Without one of these a bucket keeps less than it promises. */
const guards = [
  "bucket:Bucket",
  "bucketPolicy:BucketPolicy",
  "bucketVersioning:BucketVersioning",
  "bucketObjectLockConfiguration:BucketObjectLockConfiguration",
  "bucketPublicAccessBlock:BucketPublicAccessBlock",
].map((type) => `aws:s3/${type}`);

const whatHoldsDataIsProtected: Rule = {
  name: "what-holds-data-is-protected",
  description: "Buckets with what guards them, keys and Qdrant's volumes stay when their stack goes.",
  violations(resources) {
    return [
      ...eachOf([...guards, keyType, replicaKeyType], ({ isProtected, props }) => [
        ...unless(isProtected, "it is not protected"),
        ...unless(props["forceDestroy"] !== true, "forceDestroy empties it"),
      ])(resources),
      ...eachOf(["kubernetes:apps/v1:StatefulSet"], ({ props }) => {
        const { whenDeleted, whenScaled } = props["spec"]?.persistentVolumeClaimRetentionPolicy ?? {};
        // Both are Retain when nothing is said.
        return unless(
          [whenDeleted, whenScaled].every((then = "Retain") => then === "Retain"),
          "its volumes go with it",
        );
      })(resources),
    ];
  },
};

const keysOutliveARegion: Rule = {
  name: "keys-outlive-a-region",
  description: "Every key is turned over, is in two regions, and is not deleted within a week.",
  violations(resources) {
    const keys = ofType(resources, keyType).filter(({ props }) => props["multiRegion"] === true);
    const replicated = new Set(ofType(resources, replicaKeyType).map(({ props }) => props["primaryKeyArn"]));
    return eachOf([keyType], ({ props }) => [
      ...unless(props["enableKeyRotation"] === true, "it is never turned over"),
      ...unless(props["multiRegion"] === true && replicated.size >= keys.length, "it is lost with its region"),
      ...unless((props["deletionWindowInDays"] ?? 30) > 7, "it can be gone within a week"),
    ])(resources);
  },
};

const keyTypes = [keyType, replicaKeyType];
/** Each makes everything unreadable that is locked: at once, or after a week. */
const endings = ["kms:ScheduleKeyDeletion", "kms:DisableKey", "kms:PutKeyPolicy", "kms:DeleteImportedKeyMaterial"];

const nobodyEndsAKey: Rule = {
  name: "nobody-ends-a-key",
  description:
    "A key serves its own account, and but for one break-glass identity nobody ends it: what is locked stays readable.",
  violations(resources) {
    return [
      ...ofAll(({ type }) =>
        unless(
          !type.startsWith("aws:kms/") || [...keyTypes, "aws:kms/alias:Alias"].includes(type),
          "no rule knows what it gives",
        ),
      )(resources),
      ...eachOf(keyTypes, ({ props }) => {
        const statements = statementsOf(props["policy"]);
        return [
          ...unless(statements.length > 0, "it has AWS's own policy: any administrator of keys ends it"),
          ...statements.filter(allows).flatMap(letsInOthers),
          ...endings
            .filter((action) => !statements.some((statement) => keepsAllBut(statement, action)))
            .map((action) => `its policy does not refuse ${action} to all but one`),
        ];
      })(resources),
    ];
  },
};

function letsInOthers({ negations, principals }: Statement): string[] {
  return [
    ...negations.map((part) => `${part} allows what it does not name`),
    ...unless(
      principals.every((principal) => /^arn:aws:iam::\d{12}:root$/.test(principal)),
      "it lets in others than its account, by their policies",
    ),
  ];
}

/** Refused to everybody but to one identity, which is named whole. */
function keepsAllBut({ actions, conditions, effect, negations, principals, resources }: Statement, action: string) {
  const [condition, ...more] = Object.entries(conditions);
  const [name, values] = condition ?? [];
  return (
    effect === "Deny" &&
    negations.length === 0 &&
    principals.includes("*") &&
    resources.includes("*") &&
    actions.includes(action) &&
    more.length === 0 &&
    name === "arnnotequals aws:principalarn" &&
    values?.length === 1 &&
    values.every((arn) => /^arn:aws:iam::\d{12}:(root|role\/[^*?]+)$/.test(arn))
  );
}

export const keepingRules = [whatHoldsDataIsProtected, keysOutliveARegion, nobodyEndsAKey];
