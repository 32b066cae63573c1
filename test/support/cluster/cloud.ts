/** Stands for what a cloud gives a cluster: disks for claims, on folders of the node, and addresses for load balancers. */
import { mkdirSync, rmSync } from "node:fs";
import type { KubernetesServer } from "../servers/kubernetes-server.ts";
import { balancerCidr, clusterFolder, nodeName } from "./place.ts";

const storageClass = "disk";
const provisioner = "tests.example/disk";

/** By namespace, the addresses that its load balancers get by their names. */
export type Balancers = Readonly<Record<string, Readonly<Record<string, string>>>>;

export class Cloud {
  readonly #api: KubernetesServer;
  readonly #balancers: Balancers;
  readonly #ended = new AbortController();
  #running: Promise<unknown> | undefined;

  constructor(api: KubernetesServer, balancers: Balancers) {
    this.#api = api;
    this.#balancers = balancers;
  }

  async start(): Promise<void> {
    await this.#api.create("/apis/storage.k8s.io/v1/storageclasses", {
      metadata: { name: storageClass, annotations: { "storageclass.kubernetes.io/is-default-class": "true" } },
      provisioner,
      volumeBindingMode: "WaitForFirstConsumer",
      reclaimPolicy: "Delete",
    });
    this.#running = Promise.all([
      this.#each("/api/v1/persistentvolumeclaims", (claim) => this.#provision(claim)),
      this.#each("/api/v1/persistentvolumes", (volume) => this.#reclaim(volume)),
      this.#each("/api/v1/services", (service) => this.#balance(service)),
    ]);
    this.#running.catch(() => undefined);
  }

  async stop(): Promise<void> {
    this.#ended.abort();
    await this.#running;
  }

  // biome-ignore lint/suspicious/noExplicitAny: objects of three kinds, looked into by path
  async #each(list: string, act: (object: any) => Promise<void>): Promise<void> {
    for await (const { object, type } of this.#api.watch(list, this.#ended.signal)) {
      if (type === "ADDED" || type === "MODIFIED") await act(object);
    }
  }

  // biome-ignore lint/suspicious/noExplicitAny: as above
  async #provision({ metadata, spec, status }: any): Promise<void> {
    const isWanted = metadata.annotations?.["volume.kubernetes.io/selected-node"] !== undefined;
    if (!isWanted || status.phase !== "Pending" || spec.volumeName !== undefined) return;
    const { name, namespace, uid } = metadata;
    const path = clusterFolder("volumes", `${namespace}-${name}-${uid}`);
    mkdirSync(path, { recursive: true });
    const inNode = { key: "kubernetes.io/hostname", operator: "In", values: [nodeName] };
    await this.#api.call("POST", "/api/v1/persistentvolumes", {
      metadata: { name: `disk-${uid}` },
      spec: {
        capacity: { storage: spec.resources.requests.storage },
        accessModes: spec.accessModes,
        persistentVolumeReclaimPolicy: "Delete",
        storageClassName: storageClass,
        claimRef: { kind: "PersistentVolumeClaim", namespace, name, uid },
        local: { path },
        nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions: [inNode] }] } },
      },
    });
  }

  // biome-ignore lint/suspicious/noExplicitAny: as above
  async #reclaim({ metadata, spec, status }: any): Promise<void> {
    // Failed, to the controller: it knows no plugin that deletes local volumes.
    if (status?.phase !== "Released" && status?.phase !== "Failed") return;
    if (spec.persistentVolumeReclaimPolicy !== "Delete") return;
    await this.#api.call("DELETE", `/api/v1/persistentvolumes/${metadata.name}`);
    rmSync(spec.local.path, { recursive: true, force: true });
  }

  // biome-ignore lint/suspicious/noExplicitAny: as above
  async #balance({ metadata, spec, status }: any): Promise<void> {
    if (spec.type !== "LoadBalancer" || status.loadBalancer?.ingress !== undefined) return;
    const ip = this.#balancers[metadata.namespace]?.[metadata.name];
    if (ip === undefined) throw new Error(`no address of ${balancerCidr} for ${metadata.namespace}/${metadata.name}`);
    const path = `/api/v1/namespaces/${metadata.namespace}/services/${metadata.name}/status`;
    const addressed = { status: { loadBalancer: { ingress: [{ ip }] } } };
    await this.#api.call("PATCH", path, addressed, "application/merge-patch+json");
  }
}
