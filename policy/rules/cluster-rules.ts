/** A cluster's API and its doors: accounts read what they are given and no more, and nobody comes in from anywhere. */
import { type DeclaredResource, eachOf, ofAll, type Props, type Rule, unless } from "../rule.ts";

const rbac = "kubernetes:rbac.authorization.k8s.io/v1:";
const roleTypes = [`${rbac}Role`, `${rbac}ClusterRole`];
const bindingTypes = [`${rbac}RoleBinding`, `${rbac}ClusterRoleBinding`];
const reading = ["get", "list", "watch"];

const accountsOnlyRead: Rule = {
  name: "accounts-only-read",
  description: "Accounts read named kinds of objects; nobody is bound to a role that this stack does not declare.",
  violations(resources) {
    return [
      ...eachOf(roleTypes, ({ props }) => [
        ...unless(props["aggregationRule"] === undefined, "it grows with roles of others"),
        ...((props["rules"] ?? []) as Props[]).flatMap(rightsTooMany),
      ])(resources),
      ...eachOf(bindingTypes, ({ props }, all) => [
        ...unless(declares(all, props["roleRef"]), `it binds ${props["roleRef"]?.name}, which is not declared here`),
        ...unless(
          ((props["subjects"] ?? []) as Props[]).every(({ kind, namespace }) => kind === "ServiceAccount" && namespace),
          "it binds others than ServiceAccounts",
        ),
      ])(resources),
      ...ofAll(({ type }) =>
        unless(
          !type.startsWith("kubernetes:rbac.authorization.k8s.io/") || [...roleTypes, ...bindingTypes].includes(type),
          "no rule knows what it gives",
        ),
      )(resources),
    ];
  },
};

function rightsTooMany({ apiGroups = [], nonResourceURLs = [], resources = [], verbs = [] }: Props): string[] {
  return [
    ...verbs.filter((verb: string) => !reading.includes(verb)).map((verb: string) => `it lets accounts ${verb}`),
    ...unless(
      ![...apiGroups, ...resources].some((name: string) => name.includes("*")),
      "it is about every kind of object",
    ),
    ...unless(nonResourceURLs.length === 0, "it is about paths of the API"),
  ];
}

function declares(all: readonly DeclaredResource[], roleRef: Props | undefined): boolean {
  return all.some(
    ({ props, type }) => type === `${rbac}${roleRef?.["kind"]}` && props["metadata"]?.name === roleRef?.["name"],
  );
}

const doorsAreNarrow: Rule = {
  name: "doors-are-narrow",
  description: "A Service is reached from outside the cluster by a load balancer alone, from addresses that are named.",
  violations: eachOf(["kubernetes:core/v1:Service"], ({ props }) => {
    const { externalIPs = [], loadBalancerSourceRanges: ranges = [], type = "ClusterIP" } = props["spec"] ?? {};
    return [
      ...unless(["ClusterIP", "LoadBalancer"].includes(type), `it is of type ${type}`),
      ...unless(externalIPs.length === 0, "it takes addresses of others"),
      ...unless(
        type !== "LoadBalancer" || (ranges.length > 0 && !ranges.some((range: string) => range.endsWith("/0"))),
        "anybody comes in by its load balancer",
      ),
    ];
  }),
};

const nodesGiveNothingAway: Rule = {
  name: "nodes-give-nothing-away",
  description: "No pod is let out to where nodes answer with their own credentials.",
  violations: eachOf(["kubernetes:networking.k8s.io/v1:NetworkPolicy"], ({ props }) =>
    ((props["spec"]?.egress ?? []) as Props[]).flatMap(({ ports = [], to = [] }) => [
      ...unless(to.length > 0, `it lets out to anywhere${ports.length === 0 ? " on any port" : ""}`),
      ...(to as Props[])
        .flatMap(({ ipBlock }) => ipBlock ?? [])
        .filter(({ cidr, except = [] }) => cidr.endsWith("/0") && except.length === 0)
        .map(({ cidr }) => `it lets out to ${cidr}, the node's metadata among it`),
    ]),
  ),
};

export const clusterRules = [accountsOnlyRead, doorsAreNarrow, nodesGiveNothingAway];
