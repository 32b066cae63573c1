import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { retentionOf } from "../../runtime/domain/history/retention.ts";
import type { Job } from "../../runtime/domain/job-names.ts";
import { jobsOf } from "../../runtime/domain/jobs.ts";
import type { Region, StoreAddress } from "../../runtime/domain/region.ts";
import { storeKeyOf } from "../../runtime/domain/region-for-job.ts";
import { type PeerRegion, regionForPeer } from "../../runtime/domain/region-for-peer.ts";
import type { EpochRecord, Role } from "../../runtime/domain/roles/epoch.ts";
import { addressOf } from "../../runtime/domain/server-address.ts";
import { advisoriesOn } from "../../runtime/domain/settings/advisories.ts";
import type { KubernetesSecrets } from "../../runtime/domain/settings/kubernetes-secrets.ts";
import { bytesOfQuantity, type QdrantSettings } from "../../runtime/domain/settings/kubernetes-settings.ts";
import type { KubernetesStackSettings } from "../../runtime/domain/settings/stack-settings.ts";
import type { Replicate } from "../../runtime/domain/settings/tiers.ts";
import type { Trust } from "../../runtime/domain/trust/trust.ts";
import { AwsIdentities } from "../aws/aws-identities.ts";
import { AwsTraffic } from "../aws/aws-traffic.ts";
import { Accounts } from "./accounts.ts";
import { existingQdrant, type RegionQdrant } from "./existing-qdrant.ts";
import { FolderRestores } from "./folder-restores.ts";
import { Gate } from "./gate.ts";
import { labelsOf } from "./labels.ts";
import { Monitoring } from "./monitoring/monitoring.ts";
import { Network } from "./network.ts";
import { QdrantCluster } from "./qdrant-cluster.ts";
import { RegionSecrets } from "./region-secrets.ts";
import { Replicator } from "./replicator.ts";
import { restrictedNamespace } from "./restricted-pod.ts";
import { Schedules } from "./schedules.ts";
import { SigningKeys } from "./signing-keys.ts";

export interface KubernetesRegionArgs {
  readonly settings: KubernetesStackSettings;
  readonly secrets: pulumi.Output<KubernetesSecrets>;
  /** Whether the other stack's outputs are among the secrets. */
  readonly peer: Pick<Region, "qdrant" | "repository" | "control"> | undefined;
  /** The role by the epoch records, and the newest of them. */
  readonly role: Role;
  readonly epoch: EpochRecord;
}

/**
 * A region in a Kubernetes cluster: Qdrant, the jobs that capture, copy, verify and replicate beside it, an account for each of these, and a
 * network in which nothing else reaches anything.
 */
export class KubernetesRegion extends pulumi.ComponentResource {
  /** What the runtime needs to know of the region. */
  readonly outputs: pulumi.Output<Region>;
  /** What the other region is given of it. */
  readonly forPeer: pulumi.Output<PeerRegion>;
  readonly #name: string;
  readonly #args: KubernetesRegionArgs;
  readonly #namespace: pulumi.Input<string>;
  readonly #jobs: readonly Job[];
  readonly #signing: SigningKeys;

  constructor(name: string, args: KubernetesRegionArgs, opts?: pulumi.ComponentResourceOptions) {
    super("qdrant-dr:index:KubernetesRegion", name, {}, opts);
    const { peer, settings } = args;
    this.#name = name;
    this.#args = args;
    this.#jobs = jobsOf(settings, peer !== undefined);
    this.#namespace = this.#declareNamespace();
    new Network(`${name}-network`, { namespace: this.#namespace, ...reachOf(settings, peer) }, { parent: this });
    this.#declareAccounts();
    const qdrant = this.#declareQdrant();
    this.#signing = new SigningKeys(
      `${name}-signing`,
      {
        region: settings.region,
        settings: settings.trust,
        peer: args.secrets.apply((known) => known.peer?.trust),
      },
      { parent: this },
    );
    const gate = this.#declareGate(qdrant);
    const traffic = this.#declareTraffic();
    const regionWith = (peers: pulumi.Input<string[]>, reached: Gate["outputs"]) =>
      regionOf(args, { peers, apiKey: qdrant.apiKey }, { gate: reached, traffic, trust: this.#signing.trust });
    this.#declareJobs(regionWith(qdrant.urls, gate.inside));
    for (const { severity, text } of advisoriesOn(settings, peer)) void pulumi.log[severity](text, this);

    this.outputs = regionWith(settings.kubernetes.qdrant.outside?.urls ?? qdrant.urls, gate.outputs);
    this.forPeer = pulumi.secret(
      pulumi
        .all([this.outputs, args.secrets])
        .apply(([region, { qdrantPeerKey, store }]) =>
          regionForPeer(region as Region, { store: store?.read, qdrant: qdrantPeerKey }),
        ),
    );
    this.registerOutputs({ outputs: this.outputs, forPeer: this.forPeer });
  }

  /** Kept when the stack is destroyed: Qdrant's volumes are in it. */
  #declareNamespace(): pulumi.Input<string> {
    const { createNamespace, namespace } = this.#args.settings.kubernetes;
    if (!createNamespace) return namespace;
    return new k8s.core.v1.Namespace(
      `${this.#name}-namespace`,
      { metadata: { name: namespace, labels: { ...labelsOf("qdrant-dr"), ...restrictedNamespace } } },
      { parent: this, retainOnDelete: true },
    ).metadata.name;
  }

  /** Each job's account and, on AWS, its role. */
  #declareAccounts(): void {
    const { settings } = this.#args;
    const { infrastructure, kubernetes, region, stores } = settings;
    const identities =
      settings.store === "aws"
        ? new AwsIdentities(
            `${this.#name}-identities`,
            {
              region,
              namespace: kubernetes.namespace,
              jobs: this.#jobs,
              settings: settings.aws,
              stores: { ...stores, witness: kubernetes.gate.witness },
            },
            { parent: this },
          )
        : undefined;
    new Accounts(
      `${this.#name}-accounts`,
      {
        namespace: this.#namespace,
        jobs: this.#jobs,
        captured: infrastructure.kubernetes,
        annotations: identities?.annotations,
      },
      { parent: this },
    );
  }

  #declareQdrant(): RegionQdrant {
    const { secrets, settings } = this.#args;
    const { qdrant } = settings.kubernetes;
    if (qdrant.existing !== undefined) {
      const apiKey = secrets.apply(({ qdrantApiKey }) => {
        if (qdrantApiKey !== undefined) return qdrantApiKey;
        throw new pulumi.ResourceError("secrets.qdrantApiKey: the key of kubernetes.qdrant.existing is wanted", this);
      });
      return existingQdrant(qdrant.existing, apiKey);
    }
    return new QdrantCluster(
      `${this.#name}-qdrant`,
      { namespace: this.#namespace, settings: qdrant },
      { parent: this },
    );
  }

  #declareGate(qdrant: RegionQdrant): Gate {
    const { secrets, settings } = this.#args;
    const { witness } = settings.kubernetes.gate;
    return new Gate(
      `${this.#name}-gate`,
      {
        namespace: this.#namespace,
        settings,
        upstream: pulumi.output({ url: qdrant.serviceUrl, grpcUrl: qdrant.grpcUrl, apiKey: qdrant.apiKey }),
        keys: secrets.apply(({ administratorKey, clientKey, readOnlyKey }) => ({
          administratorKey,
          clientKey,
          readOnlyKey,
        })),
        control: storeAt(settings.stores.control, secrets, "gate"),
        peerControl: secrets.apply((known) => known.peer?.control),
        trust: this.#signing.trust,
        signingKey: this.#signing.ofJobs.apply((keys) => keys.gate),
        witness: witness === undefined ? undefined : storeAt(witness, secrets, "gate"),
      },
      { parent: this },
    );
  }

  #declareTraffic(): AwsTraffic | undefined {
    const { role, settings } = this.#args;
    if (settings.store !== "aws" || settings.aws.traffic === undefined) return undefined;
    const { tags, traffic } = settings.aws;
    const gateUrl = settings.kubernetes.gate.url;
    if (gateUrl === undefined) throw new pulumi.ResourceError("the public name leads to kubernetes.gate.url", this);
    const args = { region: settings.region, isActive: role === "active", gateUrl, settings: traffic, tags };
    return new AwsTraffic(`${this.#name}-traffic`, args, { parent: this });
  }

  /** @param inside the region as its own pods reach it. */
  #declareJobs(inside: pulumi.Output<Region>): void {
    const { peer, role, secrets, settings } = this.#args;
    const child = { parent: this };
    const { secrets: regionSecrets } = new RegionSecrets(
      `${this.#name}-regions`,
      {
        namespace: this.#namespace,
        jobs: this.#jobs,
        own: inside,
        peer: secrets.apply((known) => known.peer),
        signing: this.#signing,
        storeKeys: secrets.apply((known) => known.store),
      },
      child,
    );
    const pods = { namespace: this.#namespace, settings, regionSecrets };
    const ofJobs = { ...pods, jobs: this.#jobs, role };
    new Schedules(`${this.#name}-schedules`, ofJobs, child);
    // Also alone: what a stream holds is of no use an hour later.
    if (this.#jobs.includes("prune-stream")) new Replicator(`${this.#name}-replicator`, ofJobs, child);
    const { epoch } = this.#args;
    if (role === "active" && epoch.reason === "failover" && this.#jobs.includes("restore-folders")) {
      new FolderRestores(`${this.#name}-folders`, { ...pods, epoch }, child);
    }
    const { monitoring, namespace, replicate, schedules } = settings.kubernetes;
    if (monitoring !== undefined) {
      const alerts = {
        region: settings.region,
        peer: peer === undefined ? undefined : settings.peer,
        namespace,
        hasGate: true,
        objectives: settings.objectives,
        schedules,
        replicate,
        runbooks: monitoring.runbooks,
      };
      new Monitoring(`${this.#name}-monitoring`, { ...pods, monitoring, alerts }, child);
    }
  }
}

function regionOf(
  { epoch, role, secrets, settings }: KubernetesRegionArgs,
  qdrant: { readonly peers: pulumi.Input<string[]>; readonly apiKey: pulumi.Output<string> },
  {
    gate,
    traffic,
    trust,
  }: {
    readonly gate: Gate["outputs"];
    readonly traffic: AwsTraffic | undefined;
    readonly trust: pulumi.Output<Trust>;
  },
): pulumi.Output<Region> {
  const {
    configuration,
    infrastructure,
    initialRole,
    kubernetes,
    objectives,
    peer,
    region,
    retention,
    stores,
    userData,
  } = settings;
  return pulumi.secret(
    pulumi.output({
      contract: 1 as const,
      region,
      peer,
      objectives,
      schedules: schedulesOf(kubernetes.schedules),
      ...(kubernetes.replicate === undefined ? {} : { replicate: tiersOf(kubernetes.replicate) }),
      retention: retentionOf(retention, { isLocal: initialRole === "active" }),
      role,
      epoch: epoch.epoch,
      qdrant: pulumi.output(qdrant).apply((found) => ({ ...found, ...capacityOf(kubernetes.qdrant) })),
      repository: storeAt(stores.repository, secrets),
      control: storeAt(stores.control, secrets),
      keys: { recipients: kubernetes.recipients, identity: secrets.identity },
      trust,
      configuration,
      userData,
      infrastructure,
      gate,
      endpoint: traffic && { ...traffic.endpoint, clientKey: secrets.clientKey },
    }),
  ) as pulumi.Output<Region>;
}

function storeAt(
  address: KubernetesStackSettings["stores"]["repository"],
  secrets: pulumi.Output<KubernetesSecrets>,
  job?: Job,
): pulumi.Output<StoreAddress> {
  return secrets.apply(({ store }) => {
    const credentials = store && (job === undefined ? store.write : storeKeyOf(job, store));
    return { kind: "s3" as const, ...address, credentials };
  });
}

function reachOf(settings: KubernetesStackSettings, peer: KubernetesRegionArgs["peer"]) {
  const { kubernetes, stores } = settings;
  const { witness } = kubernetes.gate;
  const addresses = [stores.repository, stores.control, witness, peer?.repository, peer?.control];
  const storePorts = addresses.flatMap((address) => (address === undefined ? [] : portOf(address)));
  const qdrantPorts = (peer?.qdrant.peers ?? []).map((url) => addressOf(url).port);
  return {
    hasGate: true,
    existingQdrant: kubernetes.qdrant.existing,
    clientNamespaces: kubernetes.clientNamespaces,
    clientCidrs: kubernetes.clientCidrs,
    outsideCidrs: kubernetes.qdrant.outside?.cidrs ?? [],
    controlCidrs: kubernetes.gate.control?.cidrs ?? [],
    egressCidrs: kubernetes.egressCidrs,
    apiServerCidrs: kubernetes.apiServerCidrs,
    monitoringNamespace: kubernetes.monitoring?.operator.namespace,
    usesPodIdentity: settings.store === "aws" && "podIdentity" in settings.aws.cluster,
    egressPorts: [...new Set([...storePorts, ...qdrantPorts])].sort((a, b) => a - b),
  };
}

/** Of a Qdrant that is there already nobody here knows how it is bounded. */
function capacityOf({ existing, replicas, resources, storageGib }: QdrantSettings): Pick<Region["qdrant"], "capacity"> {
  if (existing !== undefined) return {};
  const memoryBytes = replicas * bytesOfQuantity(resources.memory);
  return { capacity: { memoryBytes, diskBytes: replicas * storageGib * 1024 ** 3 } };
}

/** Of what is late a prune says nothing: the history grows, and is there. A drill is looked for by its own record. */
function schedulesOf({
  drill: _drill,
  prune: _prune,
  workers: _workers,
  ...schedules
}: KubernetesStackSettings["kubernetes"]["schedules"]) {
  return schedules;
}

function tiersOf({ everySeconds, tiers }: Replicate) {
  return { everySeconds, tiers };
}

/** AWS's own endpoints are on 443. */
function portOf(address: { readonly endpoint?: string | undefined } | Extract<StoreAddress, { kind: "file" }>): number {
  const endpoint = "endpoint" in address ? address.endpoint : undefined;
  return endpoint === undefined ? 443 : addressOf(endpoint).port;
}
