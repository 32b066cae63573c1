/** Proves that each rule about a cluster's API and its Services tells what breaks it. */
import { clusterRules } from "../../../policy/rules/cluster-rules.ts";
import { describeRules, set } from "../../support/stacks/policy-changes.ts";

const role = "accounts-captured";
const binding = "accounts-captured-apps";

describe("policy: cluster rules", () => {
  describeRules(clusterRules, [
    ["accounts-only-read", "writes", role, set("rules.0.verbs", ["get", "patch"])],
    ["accounts-only-read", "every kind", role, set("rules.0.resources", ["*"])],
    ["accounts-only-read", "a binding to cluster-admin", binding, set("roleRef.name", "cluster-admin")],
    ["accounts-only-read", "a group", binding, set("subjects.0", { kind: "Group", name: "system:authenticated" })],
    ["doors-are-narrow", "a load balancer for anybody", "gate-service", set("spec.loadBalancerSourceRanges", [])],
    ["doors-are-narrow", "for every address", "gate-service", set("spec.loadBalancerSourceRanges", ["0.0.0.0/0"])],
    ["doors-are-narrow", "a port of every node", "qdrant-service", set("spec.type", "NodePort")],
    ["doors-are-narrow", "an address of others", "qdrant-service", set("spec.externalIPs", ["203.0.113.9"])],
    ["nodes-give-nothing-away", "anywhere", "network-reaches-stores", set("spec.egress.0.to", [])],
    [
      "nodes-give-nothing-away",
      "the node's metadata",
      "network-reaches-stores",
      set("spec.egress.0.to.0.ipBlock", { cidr: "0.0.0.0/0" }),
    ],
  ]);
});
