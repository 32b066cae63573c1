/** Pods: no root, nothing of the node, images that do not change, secrets that are not read off a list. */
import { eachOf, type Props, type Rule, unless } from "../rule.ts";
import { containersOf, podOf, workloads } from "../workloads.ts";

/** The volumes that Pod Security's level `restricted` leaves. */
const volumes = [
  "name",
  "configMap",
  "csi",
  "downwardAPI",
  "emptyDir",
  "ephemeral",
  "persistentVolumeClaim",
  "projected",
  "secret",
];

const podsAreRestricted: Rule = {
  name: "pods-are-restricted",
  description: "Every pod keeps Pod Security's level restricted, and writes to volumes only.",
  violations: eachOf(workloads, ({ props, type }) => {
    const pod = podOf(type, props);
    const security = pod["securityContext"] ?? {};
    const ofNode = ["hostNetwork", "hostPID", "hostIPC"].filter((part) => pod[part] === true);
    const ofOthers = ((pod["volumes"] ?? []) as Props[])
      .flatMap((volume) => Object.keys(volume).filter((key) => volume[key] !== undefined))
      .filter((kind) => !volumes.includes(kind));
    return [
      ...ofNode.map((part) => `${part} is on`),
      ...ofOthers.map((kind) => `it mounts a ${kind}`),
      ...containersOf(pod).flatMap((container) => {
        const own = container["securityContext"] ?? {};
        return [
          ...unless((own.runAsNonRoot ?? security.runAsNonRoot) === true, "may run as root"),
          ...unless((own.runAsUser ?? security.runAsUser) !== 0, "runs as root"),
          ...unless(
            (own.seccompProfile ?? security.seccompProfile)?.type === "RuntimeDefault",
            "has no seccomp profile",
          ),
          ...unless(own.allowPrivilegeEscalation === false, "may gain privileges"),
          ...unless(own.privileged !== true, "is privileged"),
          ...unless(
            (own.capabilities?.drop ?? []).includes("ALL") && (own.capabilities?.add ?? []).length === 0,
            "has capabilities",
          ),
          ...unless(own.readOnlyRootFilesystem === true, "writes to its root"),
        ].map((problem) => `container ${container["name"]} ${problem}`);
      }),
    ];
  }),
};

const imagesDoNotChange: Rule = {
  name: "images-do-not-change",
  description: "Every image is named by its digest.",
  violations: eachOf(workloads, ({ props, type }) =>
    containersOf(podOf(type, props))
      .filter(({ image }) => !/@sha256:[0-9a-f]{64}$/.test(String(image)))
      .map(({ image, name }) => `container ${name}: ${image} has no digest`),
  ),
};

const secretsAreNotListed: Rule = {
  name: "secrets-are-not-listed",
  description: "No environment variable that sounds secret has its value in the object.",
  violations: eachOf(workloads, ({ props, type }) =>
    containersOf(podOf(type, props)).flatMap(({ env = [], name }) =>
      (env as Props[])
        .filter(
          (variable) => /(KEY|TOKEN|SECRET|PASSWORD|IDENTITY)$/.test(variable["name"]) && Boolean(variable["value"]),
        )
        .map((variable) => `container ${name}: ${variable["name"]} is written out`),
    ),
  ),
};

const namespacesEnforceIt: Rule = {
  name: "namespaces-enforce-it",
  description: "Every namespace that is made lets restricted pods in only.",
  violations: eachOf(["kubernetes:core/v1:Namespace"], ({ props }) =>
    unless(
      props["metadata"]?.labels?.["pod-security.kubernetes.io/enforce"] === "restricted",
      "it does not enforce Pod Security's level restricted",
    ),
  ),
};

export const podRules = [podsAreRestricted, imagesDoNotChange, secretsAreNotListed, namespacesEnforceIt];
