/** Rules that let what holds data outlive its stack, and its region. */
import { eachOf, ofType, type Rule, unless } from "../rule.ts";

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

export const keepingRules = [whatHoldsDataIsProtected, keysOutliveARegion];
