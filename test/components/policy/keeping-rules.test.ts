/** Proves that each rule about what outlives a stack tells what breaks it. */
import { keepingRules } from "../../../policy/rules/keeping-rules.ts";
import {
  changePolicy,
  describeRules,
  remove,
  set,
  unprotect,
  withoutStatement,
  withStatement,
} from "../../support/stacks/policy-changes.ts";

const key = "qdrant-dr-data-key-key";
const refusal = "RefuseToEndIt";
const repository = "qdrant-dr-prod-repository";

describe("policy: keeping rules", () => {
  describeRules(keepingRules, [
    ["what-holds-data-is-protected", "a bucket can be destroyed", `${repository}-bucket`, unprotect],
    ["what-holds-data-is-protected", "a bucket is emptied", `${repository}-bucket`, set("forceDestroy", true)],
    ["what-holds-data-is-protected", "a policy can be destroyed", `${repository}-policy`, unprotect],
    ["what-holds-data-is-protected", "a key can be destroyed", "qdrant-dr-data-key-replica", unprotect],
    [
      "what-holds-data-is-protected",
      "volumes go with their StatefulSet",
      "qdrant-nodes",
      set("spec.persistentVolumeClaimRetentionPolicy.whenDeleted", "Delete"),
    ],
    ["nobody-ends-a-key", "any administrator ends it", key, withoutStatement(refusal)],
    [
      "nobody-ends-a-key",
      "its replica can be switched off",
      "qdrant-dr-state-key-replica",
      changePolicy((all) =>
        all.map((one) => (one.Sid === refusal ? { ...one, Action: ["kms:ScheduleKeyDeletion"] } : one)),
      ),
    ],
    [
      "nobody-ends-a-key",
      "every role is the exception",
      key,
      changePolicy((all) =>
        all.map((one) =>
          one.Sid === refusal
            ? { ...one, Condition: { ArnNotEquals: { "aws:PrincipalArn": "arn:aws:iam::111122223333:role/*" } } }
            : one,
        ),
      ),
    ],
    [
      "nobody-ends-a-key",
      "everybody uses it",
      key,
      withStatement({ Effect: "Allow", Principal: "*", Action: "kms:*", Resource: "*" }),
    ],
    ["nobody-ends-a-key", "AWS's own policy", key, set("policy", undefined)],
    [
      "nobody-ends-a-key",
      "a grant",
      key,
      (resource) => [resource, { ...resource, name: "grant", type: "aws:kms/grant:Grant", props: {} }],
    ],
    ["keys-outlive-a-region", "a key in one region", "qdrant-dr-state-key-key", set("multiRegion", false)],
    [
      "keys-outlive-a-region",
      "a key that is never turned over",
      "qdrant-dr-state-key-key",
      set("enableKeyRotation", false),
    ],
    [
      "keys-outlive-a-region",
      "a key that can be gone tomorrow",
      "qdrant-dr-state-key-key",
      set("deletionWindowInDays", 7),
    ],
    ["keys-outlive-a-region", "a key whose replica is gone", "qdrant-dr-data-key-replica", remove],
  ]);
});
