/** Proves that each rule about pods tells what breaks it. */
import { podRules } from "../../../policy/rules/pod-rules.ts";
import { describeRules, set } from "../../support/stacks/policy-changes.ts";

describe("policy: pod rules", () => {
  describeRules(podRules, [
    ["pods-are-restricted", "root", "qdrant-nodes", set("spec.template.spec.securityContext.runAsNonRoot", false)],
    ["pods-are-restricted", "user 0", "qdrant-nodes", set("spec.template.spec.securityContext.runAsUser", 0)],
    [
      "pods-are-restricted",
      "any call of the kernel",
      "schedules-verify",
      set("spec.jobTemplate.spec.template.spec.securityContext.seccompProfile", undefined),
    ],
    [
      "pods-are-restricted",
      "more privileges",
      "replicator-deployment",
      set("spec.template.spec.containers.0.securityContext.allowPrivilegeEscalation", true),
    ],
    [
      "pods-are-restricted",
      "a privileged container",
      "replicator-deployment",
      set("spec.template.spec.containers.0.securityContext.privileged", true),
    ],
    [
      "pods-are-restricted",
      "a capability",
      "replicator-deployment",
      set("spec.template.spec.containers.0.securityContext.capabilities", { drop: ["ALL"], add: ["NET_ADMIN"] }),
    ],
    [
      "pods-are-restricted",
      "a root that can be written to, in a sidecar",
      "schedules-test-restore",
      set("spec.jobTemplate.spec.template.spec.initContainers.0.securityContext.readOnlyRootFilesystem", false),
    ],
    ["pods-are-restricted", "the node's network", "qdrant-nodes", set("spec.template.spec.hostNetwork", true)],
    [
      "pods-are-restricted",
      "the node's files",
      "qdrant-nodes",
      set("spec.template.spec.volumes.0", { name: "scratch", hostPath: { path: "/" } }),
    ],
    [
      "images-do-not-change",
      "a tag",
      "qdrant-nodes",
      set("spec.template.spec.containers.0.image", "qdrant/qdrant:v1.19.0-unprivileged"),
    ],
    [
      "secrets-are-not-listed",
      "an API key in the environment",
      "replicator-deployment",
      set("spec.template.spec.containers.0.env.0", { name: "QDRANT_API_KEY", value: "a" }),
    ],
    [
      "secrets-are-not-listed",
      "a password that is called otherwise",
      "replicator-deployment",
      set("spec.template.spec.containers.0.env.0", { name: "DB_PASS", value: "a" }),
    ],
    [
      "secrets-are-not-listed",
      "a login in a URL",
      "replicator-deployment",
      set("spec.template.spec.containers.0.env.0", { name: "UPSTREAM", value: "https://me:word@host.example" }),
    ],
    [
      "secrets-are-not-listed",
      "a key among arguments",
      "replicator-deployment",
      set("spec.template.spec.containers.0.args", ["--api-key", "abc"]),
    ],
    ["namespaces-enforce-it", "a namespace for any pod", "namespace", set("metadata.labels", {})],
  ]);
});
