/** Pods: no root, nothing of the node, images that do not change, secrets that are not read off a list. */
import { eachOf, ofAll, type Props, type Rule, unless } from "../rule.ts";
import { containersOf, podsOf } from "../workloads.ts";

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
  violations: ofAll((resource) =>
    podsOf(resource).flatMap((pod) => [
      ...ofNode(pod),
      ...containersOf(pod).flatMap((container) =>
        ofContainer(container, pod).map((problem) => `container ${container["name"]} ${problem}`),
      ),
    ]),
  ),
};

function ofNode(pod: Props): string[] {
  const security = pod["securityContext"] ?? {};
  const ofOthers = ((pod["volumes"] ?? []) as Props[])
    .flatMap((volume) => Object.keys(volume).filter((key) => volume[key] !== undefined))
    .filter((kind) => !volumes.includes(kind));
  return [
    ...["hostNetwork", "hostPID", "hostIPC"].filter((part) => pod[part] === true).map((part) => `${part} is on`),
    ...ofOthers.map((kind) => `it mounts a ${kind}`),
    ...unless((security.sysctls ?? []).length === 0, "it changes settings of the kernel"),
    ...outOfLine(security),
  ];
}

function ofContainer(container: Props, pod: Props): string[] {
  const own = container["securityContext"] ?? {};
  const security = pod["securityContext"] ?? {};
  return [
    ...unless((own.runAsNonRoot ?? security.runAsNonRoot) === true, "may run as root"),
    ...unless((own.runAsUser ?? security.runAsUser) !== 0, "runs as root"),
    ...unless((own.seccompProfile ?? security.seccompProfile)?.type === "RuntimeDefault", "has no seccomp profile"),
    ...unless(own.allowPrivilegeEscalation === false, "may gain privileges"),
    ...unless(own.privileged !== true, "is privileged"),
    ...unless(
      (own.capabilities?.drop ?? []).includes("ALL") && (own.capabilities?.add ?? []).length === 0,
      "has capabilities",
    ),
    ...unless(own.readOnlyRootFilesystem === true, "writes to its root"),
    ...unless((own.procMount ?? "Default") === "Default", "sees all of /proc"),
    ...unless(
      ((container["ports"] ?? []) as Props[]).every(({ hostPort }) => !hostPort),
      "takes a port of the node",
    ),
    ...outOfLine(own),
  ];
}

/** Guards of the node that a pod can ask to be without. */
function outOfLine(security: Props): string[] {
  return [
    ...unless((security["appArmorProfile"]?.type ?? "RuntimeDefault") !== "Unconfined", "is not confined by AppArmor"),
    ...unless(security["seLinuxOptions"] === undefined, "chooses its own SELinux label"),
    ...unless(security["windowsOptions"] === undefined, "asks for a node's rights on Windows"),
  ];
}

const imagesDoNotChange: Rule = {
  name: "images-do-not-change",
  description: "Every image is named by its digest.",
  violations: ofAll((resource) =>
    podsOf(resource)
      .flatMap(containersOf)
      .filter(({ image }) => !/@sha256:[0-9a-f]{64}$/.test(String(image)))
      .map(({ image, name }) => `container ${name}: ${image} has no digest`),
  ),
};

const secretName =
  /(^|_)(API_?KEY|ACCESS_?KEY|PRIVATE_?KEY|KEY|PASS|PASSWD|PASSPHRASE|PASSWORD|PWD|SECRETS?|TOKENS?|CREDENTIALS?|AUTH|IDENTITY|DSN)$|(SECRET|PASSWORD|PASSPHRASE|CREDENTIAL)/i;
/** What a secret looks like wherever it stands: an option with a value, a login in a URL, a key by its form. */
const secretText =
  /(^|[\s-])-{0,2}(api-?key|pass(word|wd|phrase)?|secret(-[a-z-]+)?|token|credentials?)[=\s]\s*[^\s$]|:\/\/[^/\s:@]+:[^/\s@]+@|AGE-SECRET-KEY-1|\b(AKIA|ASIA)[A-Z0-9]{16}\b|PRIVATE KEY-----/i;

const secretsAreNotListed: Rule = {
  name: "secrets-are-not-listed",
  description: "No variable or argument that sounds or looks secret has its value in the object.",
  violations: ofAll((resource) =>
    podsOf(resource)
      .flatMap(containersOf)
      .flatMap(({ args = [], command = [], env = [], name }) => [
        ...(env as Props[])
          .filter(
            ({ name: variable, value }) =>
              Boolean(value) && (secretName.test(String(variable)) || secretText.test(String(value))),
          )
          .map((variable) => `container ${name}: ${variable["name"]} is written out`),
        ...unless(
          !secretText.test([command, args].flat().join(" ")),
          `container ${name}: a secret is among its arguments`,
        ),
      ]),
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
