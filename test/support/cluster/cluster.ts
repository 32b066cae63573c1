/** A real Kubernetes cluster of one node, for the tests of one run. */
import { type ChildProcess, spawn } from "node:child_process";
import { createWriteStream } from "node:fs";
import { killed } from "../faults/killed.ts";
import { EtcdServer, KubernetesServer } from "../servers/kubernetes-server.ts";
import { eventually } from "../time/eventually.ts";
import { addNames, lowerRequests } from "./addons.ts";
import { type Balancers, Cloud } from "./cloud.ts";
import { type Image, programImage } from "./images.ts";
import { ClusterNode } from "./node.ts";
import { clusterFolder, nodeAddress, podCidr, serviceCidr } from "./place.ts";

export interface ClusterOptions {
  /** Addresses of what is beside the cluster, such as stores. */
  readonly addresses: readonly string[];
  readonly images: readonly Image[];
  readonly balancers: Balancers;
}

// biome-ignore lint/suspicious/noExplicitAny: objects of all kinds, looked into by path
type Loose = any;

export class Cluster {
  readonly api: KubernetesServer;
  readonly #etcd: EtcdServer;
  readonly #cloud: Cloud;
  readonly #node = new ClusterNode();
  readonly #controllers: ChildProcess[];

  private constructor(api: KubernetesServer, etcd: EtcdServer, cloud: Cloud, controllers: ChildProcess[]) {
    this.api = api;
    this.#etcd = etcd;
    this.#cloud = cloud;
    this.#controllers = controllers;
  }

  /** @param onProgress hears what is done next. */
  static async start(options: ClusterOptions, onProgress: (step: string) => void): Promise<Cluster> {
    ClusterNode.makeNetwork(options.addresses);
    onProgress("control plane");
    const etcd = await EtcdServer.start();
    const api = await KubernetesServer.start(etcd, "cluster", { address: nodeAddress, serviceCidr });
    const cluster = new Cluster(api, etcd, new Cloud(api, options.balancers), startControllers(api));
    try {
      await lowerRequests(api);
      await cluster.#cloud.start();
      onProgress("node");
      const names = programImage("coredns", "coredns");
      await cluster.#node.start(api, programImage("pause", "sleep", ["infinity"]));
      onProgress("images");
      await cluster.#node.importImages([names, ...options.images]);
      onProgress("names");
      await addNames(api, names);
      await cluster.until("/api/v1/namespaces/kube-system/pods", "a pod that resolves names", isReady);
      return cluster;
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  /** Returns the first object of a list that is as wanted, now or later. */
  async until(list: string, what: string, isWanted: (object: Loose) => boolean, withinMs = 120_000): Promise<Loose> {
    const ended = new AbortController();
    const timer = setTimeout(() => ended.abort(), withinMs);
    let last: Loose;
    try {
      for await (const { object, type } of this.api.watch(list, ended.signal)) {
        if (type !== "ADDED" && type !== "MODIFIED") continue;
        last = object;
        if (isWanted(object)) return object;
      }
    } finally {
      clearTimeout(timer);
      ended.abort();
    }
    throw new Error(`${what}: not within ${withinMs} ms; last was ${JSON.stringify(last?.status ?? last)}`);
  }

  /** Returns when a list has no object any more that is of this kind. */
  async untilGone(list: string, what: string, isMeant: (object: Loose) => boolean, withinMs = 120_000): Promise<void> {
    const look = async () => !(await this.api.call("GET", list)).body.items.some(isMeant);
    await eventually(what, look, { everyMs: 250, withinMs });
  }

  async logOf(namespace: string, pod: string, container?: string, isPrevious = false): Promise<string> {
    const query = new URLSearchParams({ ...(container && { container }), ...(isPrevious && { previous: "true" }) });
    const { body } = await this.api.call("GET", `/api/v1/namespaces/${namespace}/pods/${pod}/log?${query}`);
    return typeof body === "string" ? body : JSON.stringify(body);
  }

  async stop(): Promise<void> {
    await this.#cloud.stop().catch(() => undefined);
    await this.#node.stop();
    for (const controller of this.#controllers) await killed(controller);
    await this.api.stop();
    await this.#etcd.stop();
  }
}

export function isReady({ status }: Loose): boolean {
  return (status.conditions ?? []).some(
    (condition: Loose) => condition.type === "Ready" && condition.status === "True",
  );
}

function startControllers(api: KubernetesServer): ChildProcess[] {
  const common = ["--kubeconfig", api.kubeconfig, "--leader-elect=false", "--bind-address=127.0.0.1"];
  const manager = [
    ...["--service-account-private-key-file", api.accountsKey, "--root-ca-file", api.certificateFile],
    ...["--allocate-node-cidrs=true", `--cluster-cidr=${podCidr}`, `--service-cluster-ip-range=${serviceCidr}`],
  ];
  return Object.entries({ "kube-controller-manager": manager, "kube-scheduler": [] }).map(([program, args]) => {
    const child = spawn(program, [...common, ...args], { stdio: ["ignore", "pipe", "pipe"] });
    const log = createWriteStream(clusterFolder(`${program}.log`));
    for (const stream of [child.stdout, child.stderr]) stream.pipe(log, { end: false });
    return child;
  });
}
