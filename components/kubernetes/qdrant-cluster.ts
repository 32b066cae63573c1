import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";
import { qdrantPorts } from "../../runtime/domain/network/ports.ts";
import type { QdrantSettings } from "../../runtime/domain/settings/kubernetes-settings.ts";
import { labelsOf, qdrantName, selectorOf } from "./labels.ts";
import { qdrantPod } from "./qdrant-pod.ts";

export interface QdrantClusterArgs {
  readonly namespace: pulumi.Input<string>;
  readonly settings: QdrantSettings;
}

const headlessName = "qdrant-peers";
const keysName = "qdrant-keys";
const keyLength = 48;

/**
 * A Qdrant cluster of StatefulSet pods that find each other by their names. Its volumes outlive it. Nothing in its pods depends on
 * the region's role: the `up` after a failover must not restart what serves.
 */
export class QdrantCluster extends pulumi.ComponentResource {
  /** One URL per peer, by which pods of this cluster reach it. */
  readonly urls: pulumi.Output<string[]>;
  readonly apiKey: pulumi.Output<string>;
  /** Of any peer that is ready, for REST and for gRPC. */
  readonly serviceUrl: pulumi.Output<string>;
  readonly grpcUrl: pulumi.Output<string>;

  constructor(name: string, args: QdrantClusterArgs, opts?: pulumi.ComponentResourceOptions) {
    super("qdrant-dr:index:QdrantCluster", name, args, opts);
    const { namespace, settings } = args;
    const child = { parent: this };
    const metadata = { namespace, labels: labelsOf(qdrantName) };
    const [apiKey, previousKey] = this.#apiKeys(name, settings.keyGeneration);

    const keys = new k8s.core.v1.Secret(
      `${name}-keys`,
      {
        metadata: { ...metadata, name: keysName },
        stringData: previousKey === undefined ? { current: apiKey } : { current: apiKey, previous: previousKey },
      },
      child,
    );
    const peers = new k8s.core.v1.Service(
      `${name}-peers`,
      {
        metadata: { ...metadata, name: headlessName },
        spec: {
          clusterIP: "None",
          // Peers find each other before they are ready, and captures ask a peer that is busy restoring.
          publishNotReadyAddresses: true,
          selector: selectorOf(qdrantName),
          ports: servicePorts(["http", "grpc", "peers"]),
        },
      },
      child,
    );
    new k8s.core.v1.Service(
      `${name}-service`,
      {
        metadata: { ...metadata, name: qdrantName },
        spec: { selector: selectorOf(qdrantName), ports: servicePorts(["http", "grpc"]) },
      },
      child,
    );
    new k8s.apps.v1.StatefulSet(
      `${name}-nodes`,
      {
        metadata: { ...metadata, name: qdrantName },
        spec: {
          serviceName: headlessName,
          replicas: settings.replicas,
          podManagementPolicy: "Parallel",
          persistentVolumeClaimRetentionPolicy: { whenDeleted: "Retain", whenScaled: "Retain" },
          selector: { matchLabels: selectorOf(qdrantName) },
          template: qdrantPod({ headlessName, keysName, settings }),
          volumeClaimTemplates: ["storage", "snapshots"].map((volume) => claim(volume, settings)),
        },
      },
      // Kubernetes changes no claim's template: Qdrant would be removed and made again, on volumes of the size they have.
      { ...child, dependsOn: [keys, peers], ignoreChanges: ["spec.volumeClaimTemplates"] },
    );
    new k8s.policy.v1.PodDisruptionBudget(
      `${name}-disruptions`,
      {
        metadata: { ...metadata, name: qdrantName },
        spec: { maxUnavailable: 1, selector: { matchLabels: selectorOf(qdrantName) } },
      },
      child,
    );
    this.#loadBalancers(name, args);

    const scheme = settings.tlsSecret === undefined ? "http" : "https";
    this.urls = pulumi
      .output(namespace)
      .apply((within) =>
        indexes(settings.replicas).map(
          (index) => `${scheme}://${qdrantName}-${index}.${headlessName}.${within}.svc:${qdrantPorts.http}`,
        ),
      );
    this.serviceUrl = pulumi.interpolate`${scheme}://${qdrantName}.${namespace}.svc:${qdrantPorts.http}`;
    this.grpcUrl = pulumi.interpolate`${scheme}://${qdrantName}.${namespace}.svc:${qdrantPorts.grpc}`;
    this.apiKey = apiKey;
    const { grpcUrl, serviceUrl, urls } = this;
    this.registerOutputs({ urls, serviceUrl, grpcUrl, apiKey });
  }

  /** The key, and the one before it: whoever still has that one is served until the next change. */
  #apiKeys(name: string, generation: number): [pulumi.Output<string>, pulumi.Output<string> | undefined] {
    const key = (of: number) =>
      new random.RandomPassword(`${name}-key-${of}`, { length: keyLength, special: false }, { parent: this }).result;
    return [key(generation), generation === 1 ? undefined : key(generation - 1)];
  }

  /** A private load balancer for each peer, so that the other region reaches each by itself. */
  #loadBalancers(name: string, { namespace, settings: { outside, replicas } }: QdrantClusterArgs): void {
    if (outside?.loadBalancers === undefined) return;
    const { annotations } = outside.loadBalancers;
    for (const index of indexes(replicas)) {
      const pod = `${qdrantName}-${index}`;
      new k8s.core.v1.Service(
        `${name}-outside-${index}`,
        {
          metadata: { name: `${pod}-outside`, namespace, labels: labelsOf(qdrantName), annotations },
          spec: {
            type: "LoadBalancer",
            loadBalancerSourceRanges: outside.cidrs,
            externalTrafficPolicy: "Local",
            publishNotReadyAddresses: true,
            selector: { ...selectorOf(qdrantName), "statefulset.kubernetes.io/pod-name": pod },
            ports: servicePorts(["http"]),
          },
        },
        { parent: this },
      );
    }
  }
}

function servicePorts(names: readonly (keyof typeof qdrantPorts)[]) {
  return names.map((port) => ({ name: port, port: qdrantPorts[port], targetPort: port }));
}

function claim(volume: string, { storageClass, storageGib }: QdrantSettings) {
  return {
    metadata: { name: volume },
    spec: {
      accessModes: ["ReadWriteOnce"],
      resources: { requests: { storage: `${storageGib}Gi` } },
      storageClassName: storageClass,
    },
  };
}

function indexes(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}
