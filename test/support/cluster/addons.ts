/** What a cluster's own pods and rules are: names, and requests that a small node can meet. */
import type { KubernetesServer } from "../servers/kubernetes-server.ts";
import type { Image } from "./images.ts";
import { dnsAddress } from "./place.ts";

const labels = { "k8s-app": "kube-dns" };
const metadata = { name: "coredns", namespace: "kube-system", labels };

const corefile = `.:53 {
  errors
  ready
  kubernetes cluster.local in-addr.arpa ip6.arpa {
    ttl 5
  }
  cache 5
}
`;

/** Names of services and pods, by CoreDNS. */
export async function addNames(api: KubernetesServer, image: Image): Promise<void> {
  const rbac = "/apis/rbac.authorization.k8s.io/v1";
  const inSystem = "/namespaces/kube-system";
  await api.create(`/api/v1${inSystem}/serviceaccounts`, { metadata });
  await api.create(`${rbac}/clusterroles`, {
    metadata: { name: "coredns" },
    rules: [
      { apiGroups: [""], resources: ["services", "pods", "namespaces"], verbs: ["list", "watch"] },
      { apiGroups: ["discovery.k8s.io"], resources: ["endpointslices"], verbs: ["list", "watch"] },
    ],
  });
  await api.create(`${rbac}/clusterrolebindings`, {
    metadata: { name: "coredns" },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "coredns" },
    subjects: [{ kind: "ServiceAccount", name: "coredns", namespace: "kube-system" }],
  });
  await api.create(`/api/v1${inSystem}/configmaps`, { metadata, data: { Corefile: corefile } });
  await api.create(`/apis/apps/v1${inSystem}/deployments`, {
    metadata,
    spec: {
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          serviceAccountName: "coredns",
          dnsPolicy: "Default",
          containers: [
            {
              name: "coredns",
              image: image.name,
              args: ["-conf", "/etc/coredns/Corefile"],
              readinessProbe: { httpGet: { path: "/ready", port: 8181 }, periodSeconds: 1 },
              volumeMounts: [{ name: "config", mountPath: "/etc/coredns" }],
            },
          ],
          volumes: [{ name: "config", configMap: { name: "coredns" } }],
        },
      },
    },
  });
  await api.create(`/api/v1${inSystem}/services`, {
    metadata: { ...metadata, name: "kube-dns" },
    spec: {
      clusterIP: dnsAddress,
      selector: labels,
      ports: [
        { name: "dns", port: 53, protocol: "UDP" },
        { name: "dns-tcp", port: 53, protocol: "TCP" },
      ],
    },
  });
}

/** Two regions ask for more processors than a small machine has; what is used is the same. */
export async function lowerRequests(api: KubernetesServer): Promise<void> {
  const group = "/apis/admissionregistration.k8s.io/v1";
  await api.create(`${group}/mutatingadmissionpolicies`, {
    metadata: { name: "small-node" },
    spec: {
      failurePolicy: "Fail",
      reinvocationPolicy: "Never",
      matchConstraints: {
        resourceRules: [{ apiGroups: [""], apiVersions: ["v1"], operations: ["CREATE"], resources: ["pods"] }],
      },
      mutations: ["initContainers", "containers"].map((containers) => ({
        patchType: "JSONPatch",
        jsonPatch: { expression: lowered(containers) },
      })),
    },
  });
  await api.create(`${group}/mutatingadmissionpolicybindings`, {
    metadata: { name: "small-node" },
    spec: { policyName: "small-node" },
  });
}

function lowered(containers: string): string {
  const each = `object.spec.${containers}[i]`;
  const asks = `has(${each}.resources) && has(${each}.resources.requests) && "cpu" in ${each}.resources.requests`;
  const path = `"/spec/${containers}/" + string(i) + "/resources/requests/cpu"`;
  const patches = `lists.range(size(object.spec.${containers})).filter(i, ${asks}).map(i, JSONPatch{op: "replace", path: ${path}, value: "20m"})`;
  return `has(object.spec.${containers}) ? ${patches} : []`;
}
