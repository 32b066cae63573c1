/** Proves that each rule about buckets tells what breaks it. */
import { bucketRules } from "../../../policy/rules/bucket-rules.ts";
import {
  changePolicy,
  describeRules,
  remove,
  set,
  withoutStatement,
  withStatement,
} from "../../support/stacks/policy-changes.ts";
import { account } from "../../support/stacks/policy-stacks.ts";

const repository = "qdrant-dr-prod-repository";
const control = "qdrant-dr-prod-control";

describe("policy: bucket rules", () => {
  describeRules(bucketRules, [
    [
      "buckets-are-known",
      "a bucket that does not say what it holds",
      `${control}-bucket`,
      (resource) => [{ ...resource, props: { ...resource.props, tags: {} } }],
    ],
    [
      "buckets-are-known",
      "a second policy of a bucket",
      `${control}-policy`,
      (resource) => [resource, { ...resource, name: "another", urn: "another" }],
    ],
    [
      "buckets-are-known",
      "a bucket of a type that no rule looks at",
      `${control}-bucket`,
      (resource) => [
        resource,
        { ...resource, name: "second", type: "aws:s3/bucketV2:BucketV2", props: { bucket: "second" } },
      ],
    ],
    [
      "buckets-are-private",
      "a public policy is allowed",
      `${repository}-public-access`,
      set("blockPublicPolicy", false),
    ],
    ["buckets-are-private", "nothing blocks public access", `${control}-public-access`, remove],
    [
      "buckets-are-private",
      "writers own what they write",
      `${control}-ownership`,
      set("rule.objectOwnership", "ObjectWriter"),
    ],
    [
      "buckets-are-private",
      "a policy lets everybody read",
      `${repository}-policy`,
      withStatement({ Effect: "Allow", Principal: { AWS: "*" }, Action: "s3:GetObject" }),
    ],
    [
      "buckets-speak-tls",
      "plain HTTP is not refused",
      "qdrant-dr-dr-state-policy",
      withoutStatement("RefusePlainHttp"),
    ],
    [
      "buckets-speak-tls",
      "plain HTTP is refused to some",
      "qdrant-dr-dr-state-policy",
      changePolicy((all) =>
        all.map((one) => (one.Sid === "RefusePlainHttp" ? { ...one, Principal: { AWS: account } } : one)),
      ),
    ],
    [
      "buckets-are-encrypted",
      "S3's own key",
      `${repository}-encryption`,
      set("rules.0.applyServerSideEncryptionByDefault", { sseAlgorithm: "AES256" }),
    ],
    [
      "nothing-expires",
      "versions are suspended",
      `${repository}-versioning`,
      set("versioningConfiguration.status", "Suspended"),
    ],
    ["nothing-expires", "a lifecycle deletes", `${repository}-lifecycle`, set("rules.0.expiration", { days: 90 })],
    [
      "nothing-expires",
      "a lifecycle moves to an archive",
      `${repository}-lifecycle`,
      set("rules.1.transitions", [{ days: 1, storageClass: "GLACIER" }]),
    ],
    [
      "nothing-is-replaced",
      "the policy is gone from a control store but for TLS",
      `${control}-policy`,
      withoutStatement("RefuseWritesThatCouldReplace"),
    ],
    [
      "nothing-is-replaced",
      "conditional writes are demanded of some requests",
      `${repository}-policy`,
      changePolicy((all) =>
        all.map((one) =>
          one.Sid === "RefuseWritesThatCouldReplace"
            ? { ...one, Condition: { ...one.Condition, StringEquals: { "aws:PrincipalTag/a": "b" } } }
            : one,
        ),
      ),
    ],
    [
      "locked-as-long-as-kept",
      "evidence for a year",
      "qdrant-dr-dr-audit-lock",
      set("rule.defaultRetention.days", 365),
    ],
    [
      "locked-as-long-as-kept",
      "locks that can be lifted",
      "qdrant-dr-dr-audit-lock",
      set("rule.defaultRetention.mode", "GOVERNANCE"),
    ],
    ["locked-as-long-as-kept", "no lock at all", "qdrant-dr-dr-audit-lock", remove],
    ["locked-as-long-as-kept", "recovery points without a lock", `${repository}-lock`, remove],
    ["locked-as-long-as-kept", "a bucket that cannot lock", `${repository}-bucket`, set("objectLockEnabled", false)],
    ["locked-as-long-as-kept", "deletes are allowed", `${repository}-policy`, withoutStatement("RefuseDeletes")],
    [
      "locked-as-long-as-kept",
      "deletes of versions are allowed",
      `${repository}-policy`,
      withoutStatement("RefuseDeletesOfVersions"),
    ],
    [
      "replicas-are-as-good",
      "nothing tells that it is late",
      `${repository}-replication-rules`,
      set("rules.0.destination.metrics", undefined),
    ],
    [
      "replicas-are-as-good",
      "no time control",
      `${repository}-replication-rules`,
      set("rules.2.destination.replicationTime.status", "Disabled"),
    ],
    [
      "replicas-are-as-good",
      "deletes are replicated",
      `${repository}-replication-rules`,
      set("rules.1.deleteMarkerReplication.status", "Enabled"),
    ],
    [
      "replicas-are-as-good",
      "the whole state",
      "qdrant-dr-dr-state-replication-rules",
      set("rules.0.filter.prefix", ""),
    ],
    [
      "replicas-are-as-good",
      "deletes of state",
      "qdrant-dr-dr-state-replication-rules",
      set("rules.0.deleteMarkerReplication.status", "Enabled"),
    ],
    [
      "replicas-are-as-good",
      "replicas with S3's own key",
      `${repository}-replication-rules`,
      set("rules.1.destination.encryptionConfiguration", undefined),
    ],
    [
      "nothing-expires",
      "a lifecycle deletes on a day",
      `${repository}-lifecycle`,
      set("rules.0.expiration", { date: "2030-01-01T00:00:00Z" }),
    ],
  ]);
});
