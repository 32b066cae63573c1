/** Proves that each rule about what outlives a stack tells what breaks it. */
import { keepingRules } from "../../../policy/rules/keeping-rules.ts";
import { describeRules, remove, set, unprotect } from "../../support/stacks/policy-changes.ts";

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
