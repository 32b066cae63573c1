import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { EpochRecord, Role } from "../../runtime/domain/estate/epoch.ts";
import { bucketRpoMinutes } from "../../runtime/domain/estate/objectives.ts";
import type { Region, StoreAddress } from "../../runtime/domain/estate/region.ts";
import type { KubernetesSecrets, KubernetesSettings } from "../../runtime/domain/estate/stack-settings.ts";
import { AwsIdentities } from "../aws/aws-identities.ts";
import { Accounts } from "./accounts.ts";
import { Gate } from "./gate.ts";
import { labelsOf } from "./labels.ts";
import { Network } from "./network.ts";
import { QdrantCluster } from "./qdrant-cluster.ts";
import { Replicator } from "./replicator.ts";
import { restrictedNamespace } from "./restricted-pod.ts";
import { Schedules } from "./schedules.ts";

export interface KubernetesRegionArgs {
  readonly settings: KubernetesSettings;
  readonly secrets: pulumi.Output<KubernetesSecrets>;
  /** Whether the other stack's outputs are among the secrets. */
  readonly peer: Pick<Region, "qdrant" | "repository" | "control"> | undefined;
  /** The role by the epoch records, and the newest of them. */
  readonly role: Role;
  readonly epoch: EpochRecord;
}

const regionsName = "qdrant-dr-regions";

/**
 * A region in a Kubernetes cluster: Qdrant, what captures, copies, verifies and follows beside it, an account for each of these, and a
 * network in which nothing else reaches anything.
 */
export class KubernetesRegion extends pulumi.ComponentResource {
  /** What the runtime needs to know of the region. */
  readonly outputs: pulumi.Output<Region>;

  constructor(name: string, args: KubernetesRegionArgs, opts?: pulumi.ComponentResourceOptions) {
    super("qdrant-dr:index:KubernetesRegion", name, {}, opts);
    const { peer, role, settings } = args;
    const { kubernetes, region } = settings;
    const child = { parent: this };
    const namespace = this.#namespace(name, settings);

    new Network(`${name}-network`, { namespace, ...reachOf(settings, peer) }, child);
    const identities =
      settings.store === "aws"
        ? new AwsIdentities(
            `${name}-identities`,
            {
              ...{ region, namespace: kubernetes.namespace, settings: settings.aws },
              stores: { ...settings.stores, witness: kubernetes.gate.witness },
            },
            child,
          )
        : undefined;
    const captured = settings.infrastructure.kubernetes;
    new Accounts(`${name}-accounts`, { namespace, captured, annotations: identities?.annotations }, child);
    const qdrant = new QdrantCluster(`${name}-qdrant`, { namespace, settings: kubernetes.qdrant }, child);
    const gate = new Gate(
      `${name}-gate`,
      {
        namespace,
        region,
        image: kubernetes.image,
        tlsSecret: kubernetes.qdrant.tlsSecret,
        keyGeneration: kubernetes.qdrant.keyGeneration,
        settings: kubernetes.gate,
        upstream: pulumi.output({ url: qdrant.serviceUrl, apiKey: qdrant.apiKey }),
        clientKey: args.secrets.clientKey,
        control: storeAt(settings.stores.control, args.secrets),
        peerControl: args.secrets.apply((secrets) => secrets.peer?.control),
        witness: kubernetes.gate.witness === undefined ? undefined : storeAt(kubernetes.gate.witness, args.secrets),
        peer: peer === undefined ? undefined : settings.peer,
      },
      child,
    );
    const regionWith = (peers: pulumi.Input<string[]>) =>
      regionOf(args, { peers, apiKey: qdrant.apiKey }, gate.outputs);
    const inside = regionWith(qdrant.urls);
    const regions = new k8s.core.v1.Secret(
      `${name}-regions`,
      {
        metadata: { name: regionsName, namespace, labels: labelsOf("qdrant-dr") },
        stringData: pulumi.all([inside, args.secrets]).apply(([own, secrets]) => ({
          [`${region}.json`]: JSON.stringify(own),
          ...(secrets.peer === undefined ? {} : { [`${settings.peer}.json`]: JSON.stringify(secrets.peer) }),
        })),
      },
      child,
    );
    const jobs = {
      namespace,
      region,
      role,
      image: kubernetes.image,
      regionsSecret: regions.metadata.name,
      tlsSecret: kubernetes.qdrant.tlsSecret,
    };
    new Schedules(
      `${name}-schedules`,
      {
        ...jobs,
        peer: peer === undefined ? undefined : settings.peer,
        schedules: kubernetes.schedules,
        qdrant: kubernetes.qdrant,
        capturesObjects: captured !== undefined,
        claims: kubernetes.claims,
      },
      child,
    );
    if (kubernetes.replicate !== undefined && peer !== undefined) {
      new Replicator(`${name}-replicator`, { ...jobs, peer: settings.peer, ...kubernetes.replicate }, child);
    }
    this.#tell(args);

    const { outside } = kubernetes.qdrant;
    this.outputs = regionWith(outside?.urls ?? qdrant.urls);
    this.registerOutputs({ outputs: this.outputs });
  }

  /** Kept when the stack is destroyed: Qdrant's volumes are in it. */
  #namespace(name: string, { kubernetes }: KubernetesSettings): pulumi.Input<string> {
    if (!kubernetes.createNamespace) return kubernetes.namespace;
    return new k8s.core.v1.Namespace(
      `${name}-namespace`,
      { metadata: { name: kubernetes.namespace, labels: { ...labelsOf("qdrant-dr"), ...restrictedNamespace } } },
      { parent: this, retainOnDelete: true },
    ).metadata.name;
  }

  /** What follows from the settings and is not seen in them. */
  #tell({ peer, settings }: KubernetesRegionArgs): void {
    const { replicate, schedules } = settings.kubernetes;
    const minutes = bucketRpoMinutes(schedules);
    const follows = replicate === undefined ? "" : `; the standby follows every ${replicate.everySeconds} s`;
    void pulumi.log.info(
      `RPO from copied recovery points alone: ${minutes} min and the time they take${follows}`,
      this,
    );
    if (peer !== undefined) return;
    void pulumi.log.warn(
      `nothing is copied from or to ${settings.peer} yet: give its \`region\` output as secrets.peer once that stack is up`,
      this,
    );
  }
}

function regionOf(
  { epoch, role, secrets, settings }: KubernetesRegionArgs,
  qdrant: { readonly peers: pulumi.Input<string[]>; readonly apiKey: pulumi.Output<string> },
  gate: Gate["outputs"],
): pulumi.Output<Region> {
  const { configuration, infrastructure, kubernetes, objectives, peer, region, stores, userData } = settings;
  return pulumi.secret(
    pulumi.output({
      ...{ contract: 1 as const, region, peer, objectives, role, epoch: epoch.epoch },
      qdrant,
      repository: storeAt(stores.repository, secrets),
      control: storeAt(stores.control, secrets),
      keys: { recipients: kubernetes.recipients, identity: secrets.identity },
      ...{ configuration, userData, infrastructure, gate },
    }),
  ) as pulumi.Output<Region>;
}

function storeAt(
  address: KubernetesSettings["stores"]["repository"],
  secrets: pulumi.Output<KubernetesSecrets>,
): pulumi.Output<StoreAddress> {
  return secrets.apply(({ store: credentials }) => ({
    kind: "s3" as const,
    ...address,
    ...(credentials === undefined ? {} : { credentials }),
  }));
}

function reachOf(settings: KubernetesSettings, peer: KubernetesRegionArgs["peer"]) {
  const { kubernetes, stores } = settings;
  const { witness } = kubernetes.gate;
  const addresses = [
    ...[stores.repository, stores.control],
    ...(witness === undefined ? [] : [witness]),
    ...(peer === undefined ? [] : [peer.repository, peer.control]),
  ];
  const endpoints = addresses.map((address) => ("endpoint" in address ? address.endpoint : undefined));
  const urls = [...endpoints.map((endpoint) => endpoint ?? "https://aws"), ...(peer?.qdrant.peers ?? [])];
  return {
    clientNamespaces: kubernetes.clientNamespaces,
    clientCidrs: kubernetes.clientCidrs,
    outsideCidrs: kubernetes.qdrant.outside?.cidrs ?? [],
    egressCidrs: kubernetes.egressCidrs,
    usesPodIdentity: settings.store === "aws" && "podIdentity" in settings.aws.cluster,
    egressPorts: [...new Set(urls.map(portOf))].sort((a, b) => a - b),
  };
}

function portOf(text: string): number {
  const url = new URL(text);
  if (url.port !== "") return Number(url.port);
  return url.protocol === "https:" ? 443 : 80;
}
