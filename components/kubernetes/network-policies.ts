/** What the pods of a region may reach, and who reaches them, as plain objects. */
import type * as k8s from "@pulumi/kubernetes";
import type * as pulumi from "@pulumi/pulumi";
import { objectNameOf } from "../../runtime/domain/jobs.ts";
import { exporterPort, gatePorts, qdrantPorts } from "../../runtime/domain/network/ports.ts";
import { withoutNodeServices } from "../../runtime/domain/network/reachable.ts";
import { addressOf } from "../../runtime/domain/server-address.ts";
import { type ExistingQdrant, grpcUrlOf } from "../../runtime/domain/settings/kubernetes-settings.ts";
import { labelsOf, ofProduct, qdrantName, reachLabel, selectorOf } from "./labels.ts";

export interface NetworkArgs {
  readonly namespace: pulumi.Input<string>;
  /** A Qdrant that is not this stack's; its own one when left out. */
  readonly existingQdrant?: ExistingQdrant | undefined;
  /** Namespaces whose pods are clients, and where those outside the cluster are. */
  readonly clientNamespaces: readonly string[];
  readonly clientCidrs: readonly string[];
  /** Who reaches the peers from outside the cluster. */
  readonly outsideCidrs: readonly string[];
  /** Who reaches the control of the gate from outside the cluster. */
  readonly controlCidrs: readonly string[];
  /** Where stores and the other region are. */
  readonly egressCidrs: readonly string[];
  /** Where the API server is; anywhere when empty. */
  readonly apiServerCidrs: readonly string[];
  /** Ports of stores and of the other region's Qdrant. */
  readonly egressPorts: readonly number[];
  /** Of the Prometheus that scrapes the exporter, where there is one. */
  readonly monitoringNamespace: string | undefined;
  /** Whether an agent on each node gives pods their credentials. */
  readonly usesPodIdentity: boolean;
  readonly hasGate: boolean;
}

interface Rules {
  readonly pods: Readonly<Record<string, string>>;
  readonly ingress?: k8s.types.input.networking.v1.NetworkPolicyIngressRule[];
  readonly egress?: k8s.types.input.networking.v1.NetworkPolicyEgressRule[];
}

type NetworkPolicy = Pick<k8s.types.input.networking.v1.NetworkPolicy, "metadata" | "spec">;

/** Nothing reaches a pod of the region, and none reaches anything, but what is named here. By the name of each policy. */
export function networkPolicies(args: NetworkArgs): Map<string, NetworkPolicy> {
  const found = Object.entries(policies(args)).map(([what, { pods, ...rules }]) => {
    const policyTypes = what === "default-deny" ? ["Ingress", "Egress"] : directionsOf(rules);
    const metadata = { name: `qdrant-dr-${what}`, namespace: args.namespace, labels: labelsOf("qdrant-dr") };
    return [what, { metadata, spec: { podSelector: { matchLabels: pods }, policyTypes, ...rules } }] as const;
  });
  return new Map(found);
}

/** Addresses of the agents of EKS that give pods their credentials, on every node. */
const podIdentityAgents = ["169.254.170.23/32", "fd00:ec2::23/128"];

function policies(args: NetworkArgs): Record<string, Rules> {
  const { clientCidrs, clientNamespaces, egressCidrs, egressPorts, existingQdrant, outsideCidrs, usesPodIdentity } =
    args;
  const { apiServerCidrs, controlCidrs, hasGate, monitoringNamespace } = args;
  const qdrant = selectorOf(qdrantName);
  const serves = tcp(qdrantPorts.http);
  const among = tcp(qdrantPorts.peers);
  const clients = [...clientNamespaces.map(inNamespace), ...clientCidrs.map(inBlock)];
  return {
    "default-deny": { pods: ofProduct },
    names: {
      pods: ofProduct,
      egress: [{ to: [inNamespace("kube-system")], ports: [{ protocol: "UDP", port: 53 }, ...tcp(53)] }],
    },
    ...(existingQdrant === undefined
      ? {
          qdrant: {
            pods: qdrant,
            ingress: [
              { from: [{ podSelector: { matchLabels: qdrant } }], ports: among },
              { from: [{ podSelector: { matchLabels: reachLabel("qdrant") } }], ports: serves },
              ...(outsideCidrs.length === 0 ? [] : [{ from: outsideCidrs.map(inBlock), ports: serves }]),
              { from: [{ podSelector: { matchLabels: gate } }], ports: tcp(qdrantPorts.grpc) },
            ],
            egress: [{ to: [{ podSelector: { matchLabels: qdrant } }], ports: among }],
          },
        }
      : {}),
    // Clients come by the gate alone, which lets them through while this region is active.
    ...(clients.length === 0
      ? {}
      : { gate: { pods: gate, ingress: [{ from: clients, ports: tcp(gatePorts.http, gatePorts.grpc) }] } }),
    ...(controlCidrs.length === 0
      ? {}
      : {
          "gate-control": { pods: gate, ingress: [{ from: controlCidrs.map(inBlock), ports: tcp(gatePorts.control) }] },
        }),
    ...(hasGate
      ? {
          "gate-reaches-grpc": {
            pods: gate,
            egress: [
              existingQdrant === undefined
                ? { to: [{ podSelector: { matchLabels: qdrant } }], ports: tcp(qdrantPorts.grpc) }
                : toExisting(existingQdrant, [grpcUrlOf(existingQdrant)]),
            ],
          },
        }
      : {}),
    ...(monitoringNamespace === undefined ? {} : monitored(monitoringNamespace)),
    "reaches-qdrant": {
      pods: reachLabel("qdrant"),
      egress: [
        existingQdrant === undefined
          ? { to: [{ podSelector: { matchLabels: qdrant } }], ports: serves }
          : toExisting(existingQdrant, [...existingQdrant.urls, existingQdrant.serviceUrl]),
      ],
    },
    "reaches-stores": {
      pods: reachLabel("stores"),
      egress: [
        { to: egressCidrs.map(toBlock), ports: tcp(...egressPorts) },
        ...(usesPodIdentity ? [{ to: podIdentityAgents.map(inBlock), ports: tcp(80) }] : []),
      ],
    },
    "reaches-kubernetes": {
      pods: reachLabel("kubernetes"),
      // Before or after translation of its address: on one of these ports.
      egress: [{ to: (apiServerCidrs.length === 0 ? anywhere : apiServerCidrs).map(toBlock), ports: tcp(443, 6443) }],
    },
  };
}

function toExisting({ namespace, podLabels }: ExistingQdrant, urls: readonly string[]) {
  const ports = [...new Set(urls.map((url) => addressOf(url).port))].sort((a, b) => a - b);
  return { to: [{ ...inNamespace(namespace), podSelector: { matchLabels: podLabels } }], ports: tcp(...ports) };
}

const gate = selectorOf(objectNameOf("gate"));

function monitored(namespace: string): Record<string, Rules> {
  const watcher = { podSelector: { matchLabels: reachLabel("gate") } };
  return {
    exporter: {
      pods: selectorOf(objectNameOf("exporter")),
      ingress: [{ from: [inNamespace(namespace)], ports: tcp(exporterPort) }],
    },
    "gate-watched": { pods: gate, ingress: [{ from: [watcher], ports: tcp(gatePorts.control) }] },
    "reaches-gate": {
      pods: reachLabel("gate"),
      egress: [{ to: [{ podSelector: { matchLabels: gate } }], ports: tcp(gatePorts.control) }],
    },
  };
}

function directionsOf({ egress, ingress }: Omit<Rules, "pods">): string[] {
  return [...(ingress === undefined ? [] : ["Ingress"]), ...(egress === undefined ? [] : ["Egress"])];
}

function tcp(...ports: readonly number[]) {
  return ports.map((port) => ({ protocol: "TCP", port }));
}

function inNamespace(name: string) {
  return { namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": name } } };
}

const anywhere = ["0.0.0.0/0", "::/0"];

function toBlock(cidr: string) {
  return { ipBlock: withoutNodeServices(cidr) };
}

function inBlock(cidr: string) {
  return { ipBlock: { cidr } };
}
