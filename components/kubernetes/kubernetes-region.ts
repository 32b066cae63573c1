import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { type Job, jobs } from "../../runtime/domain/jobs.ts";
import type { Region, StoreAddress } from "../../runtime/domain/region.ts";
import type { RegionJob } from "../../runtime/domain/region-for-job.ts";
import type { EpochRecord, Role } from "../../runtime/domain/roles/epoch.ts";
import { addressOf } from "../../runtime/domain/server-address.ts";
import { remarksOn } from "../../runtime/domain/settings/advisories.ts";
import { foldersByKind } from "../../runtime/domain/settings/folder-selection.ts";
import type { KubernetesSecrets, KubernetesSettings } from "../../runtime/domain/settings/stack-settings.ts";
import { AwsIdentities } from "../aws/aws-identities.ts";
import { AwsTraffic } from "../aws/aws-traffic.ts";
import { Accounts } from "./accounts.ts";
import { existingQdrant } from "./existing-qdrant.ts";
import { Gate } from "./gate.ts";
import { labelsOf } from "./labels.ts";
import { Monitoring } from "./monitoring/monitoring.ts";
import { Network } from "./network.ts";
import { QdrantCluster } from "./qdrant-cluster.ts";
import { RegionSecrets } from "./region-secrets.ts";
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
    const accounts = accountsOf(args);
    const identities =
      settings.store === "aws"
        ? new AwsIdentities(
            `${name}-identities`,
            {
              ...{ region, namespace: kubernetes.namespace, jobs: accounts, settings: settings.aws },
              stores: { ...settings.stores, witness: kubernetes.gate.witness },
            },
            child,
          )
        : undefined;
    const captured = settings.infrastructure.kubernetes;
    const { annotations } = identities ?? {};
    new Accounts(`${name}-accounts`, { namespace, jobs: accounts, captured, annotations }, child);
    const { existing } = kubernetes.qdrant;
    const qdrant =
      existing === undefined
        ? new QdrantCluster(`${name}-qdrant`, { namespace, settings: kubernetes.qdrant }, child)
        : existingQdrant(
            existing,
            args.secrets.apply(({ qdrantApiKey = "" }) => qdrantApiKey),
          );
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
    const traffic = this.#traffic(name, args);
    const regionWith = (peers: pulumi.Input<string[]>, reached: Gate["outputs"]) =>
      regionOf(args, { peers, apiKey: qdrant.apiKey }, { gate: reached, traffic });
    const inside = regionWith(qdrant.urls, gate.inside);
    const regions = new RegionSecrets(
      `${name}-regions`,
      { namespace, jobs: jobsOf(args), own: inside, peer: args.secrets.apply((secrets) => secrets.peer) },
      child,
    );
    const ofJobs = {
      namespace,
      image: kubernetes.image,
      regionSecrets: regions.names,
      tlsSecret: kubernetes.qdrant.tlsSecret,
    };
    const jobs = { ...ofJobs, region, role };
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
      new Replicator(
        `${name}-replicator`,
        {
          ...{ ...jobs, ...kubernetes.replicate },
          peer: settings.peer,
          folders: streamedKinds(settings),
          claims: kubernetes.claims,
        },
        child,
      );
    }
    if (kubernetes.monitoring !== undefined) {
      const { objectives } = settings;
      const { monitoring, replicate, schedules } = kubernetes;
      const { runbooks } = monitoring;
      const known = peer === undefined ? undefined : settings.peer;
      const alerts = {
        region,
        peer: known,
        namespace: kubernetes.namespace,
        objectives,
        schedules,
        replicate,
        runbooks,
      };
      new Monitoring(`${name}-monitoring`, { ...ofJobs, settings: monitoring, alerts }, child);
    }
    for (const { severity, text } of remarksOn(settings, peer)) void pulumi.log[severity](text, this);

    const { outside } = kubernetes.qdrant;
    this.outputs = regionWith(outside?.urls ?? qdrant.urls, gate.outputs);
    this.registerOutputs({ outputs: this.outputs });
  }

  #traffic(name: string, { role, settings }: KubernetesRegionArgs): AwsTraffic | undefined {
    if (settings.store !== "aws" || settings.aws.traffic === undefined) return undefined;
    const { tags, traffic } = settings.aws;
    const gateUrl = settings.kubernetes.gate.url;
    if (gateUrl === undefined) throw new pulumi.ResourceError("the public name leads to kubernetes.gate.url", this);
    const args = { region: settings.region, isActive: role === "active", gateUrl, settings: traffic, tags };
    return new AwsTraffic(`${name}-traffic`, args, { parent: this });
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
}

/** Jobs that are told of regions. */
function jobsOf({ peer, settings }: KubernetesRegionArgs): RegionJob[] {
  const follows = settings.kubernetes.replicate !== undefined;
  const hasFolders = streamedKinds(settings).length > 0;
  const following: RegionJob[] = hasFolders ? ["replicate", "replicate-folders"] : ["replicate"];
  const withPeer: RegionJob[] = follows ? ["copy", ...following] : ["copy"];
  const watched: RegionJob[] = settings.kubernetes.monitoring === undefined ? [] : ["exporter"];
  return ["capture", "verify", "test-restore", ...(peer === undefined ? [] : withPeer), ...watched];
}

/** What brings folders has rights in the other region: it is there only when it is wanted. */
function accountsOf({ peer, settings }: KubernetesRegionArgs): readonly Job[] {
  const bringsFolders = peer !== undefined && streamedKinds(settings).length > 0;
  return jobs.filter((job) => job !== "replicate-folders" || bringsFolders);
}

function streamedKinds(settings: KubernetesSettings) {
  const { replicate } = settings.kubernetes;
  return replicate?.folders ? [...new Set(foldersByKind(settings).map(({ kind }) => kind))] : [];
}

function regionOf(
  { epoch, role, secrets, settings }: KubernetesRegionArgs,
  qdrant: { readonly peers: pulumi.Input<string[]>; readonly apiKey: pulumi.Output<string> },
  { gate, traffic }: { readonly gate: Gate["outputs"]; readonly traffic: AwsTraffic | undefined },
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
      ...(traffic === undefined ? {} : { endpoint: { ...traffic.endpoint, clientKey: secrets.clientKey } }),
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
    existingQdrant: kubernetes.qdrant.existing,
    clientNamespaces: kubernetes.clientNamespaces,
    clientCidrs: kubernetes.clientCidrs,
    outsideCidrs: kubernetes.qdrant.outside?.cidrs ?? [],
    egressCidrs: kubernetes.egressCidrs,
    monitoringNamespace: kubernetes.monitoring?.operator.namespace,
    usesPodIdentity: settings.store === "aws" && "podIdentity" in settings.aws.cluster,
    egressPorts: [...new Set(urls.map((url) => addressOf(url).port))].sort((a, b) => a - b),
  };
}
