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
  /** The product's is also what scripts of tests run in. */
  readonly images: { readonly product: Image; readonly qdrant: Image };
  readonly balancers: Balancers;
}

// biome-ignore lint/suspicious/noExplicitAny: objects of all kinds, looked into by path
export type Loose = any;

export class Cluster {
  readonly api: KubernetesServer;
  readonly #etcd: EtcdServer;
  readonly #cloud: Cloud;
  readonly #node = new ClusterNode();
  readonly #controllers: ChildProcess[];
  readonly #product: Image;
  #jobs = 0;

  private constructor(
    api: KubernetesServer,
    etcd: EtcdServer,
    cloud: Cloud,
    controllers: ChildProcess[],
    product: Image,
  ) {
    this.#product = product;
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
    const cluster = new Cluster(
      api,
      etcd,
      new Cloud(api, options.balancers),
      startControllers(api),
      options.images.product,
    );
    try {
      await lowerRequests(api);
      await cluster.#cloud.start();
      onProgress("node");
      const names = programImage("coredns", "coredns");
      await cluster.#node.start(api, programImage("pause", "sleep", ["infinity"]));
      onProgress("images");
      await cluster.#node.importImages([names, ...Object.values(options.images)]);
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

  async untilGone(list: string, what: string, withinMs = 120_000): Promise<void> {
    const look = async () => (await this.api.call("GET", list)).body.items.length === 0;
    await eventually(what, look, { everyMs: 250, withinMs });
  }

  /** Returns when there are pods in a namespace, and all that run for good are ready. */
  async untilAllReady(namespace: string, withinMs = 240_000): Promise<void> {
    const look = async () => {
      const { body } = await this.api.call("GET", `/api/v1/namespaces/${namespace}/pods`);
      const lasting = body.items.filter((pod: Loose) => pod.spec.restartPolicy === "Always");
      return lasting.length > 0 && lasting.every(isReady) && (await this.#isRolledOut(namespace));
    };
    await eventually(`all pods of ${namespace} are ready`, look, { everyMs: 500, withinMs });
  }

  /** Runs the job of a CronJob now, and returns how long it took to succeed. */
  async runJob(namespace: string, cronJob: string): Promise<number> {
    const startedAt = performance.now();
    const jobs = `/apis/batch/v1/namespaces/${namespace}`;
    const { body: declared } = await this.api.call("GET", `${jobs}/cronjobs/${cronJob}`);
    const { metadata, spec } = declared.spec.jobTemplate;
    const name = `${cronJob}-${this.#jobs++}`;
    await this.api.create(`${jobs}/jobs`, { metadata: { ...metadata, name }, spec });
    const path = `${jobs}/jobs?fieldSelector=metadata.name%3D${name}`;
    const ended = await this.until(path, `${namespace}'s ${name} ends`, isEnded, 360_000);
    const failure = ended.status.conditions.find(({ type }: Loose) => type === "Failed");
    if (failure !== undefined) throw new Error(`${namespace}'s ${name} failed: ${failure.message}`);
    return (performance.now() - startedAt) / 1000;
  }

  async pods(namespace: string): Promise<Loose[]> {
    return (await this.api.call("GET", `/api/v1/namespaces/${namespace}/pods`)).body.items;
  }

  /** Runs a script by Node in a pod of the product's image to its end, and returns what it said. */
  async runScript(namespace: string, script: string, spec: Loose = {}): Promise<string> {
    const list = `/api/v1/namespaces/${namespace}/pods`;
    const name = `script-${this.#jobs++}`;
    const { volumes = [], volumeMounts = [], user = 1000 } = spec;
    await this.api.create(list, {
      metadata: { name },
      spec: {
        restartPolicy: "Never",
        automountServiceAccountToken: false,
        securityContext: {
          ...{ runAsNonRoot: true, runAsUser: user, runAsGroup: user, fsGroup: user },
          seccompProfile: { type: "RuntimeDefault" },
        },
        volumes,
        containers: [
          {
            name: "script",
            image: this.#product.name,
            command: ["/nodejs/bin/node", "--input-type=module", "--eval", script],
            securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } },
            volumeMounts,
          },
        ],
      },
    });
    const path = `${list}?fieldSelector=metadata.name%3D${name}`;
    const ends = ["Succeeded", "Failed"];
    const { status } = await this.until(path, `${name} ends`, (pod) => ends.includes(pod.status.phase));
    const said = await this.logOf(namespace, name);
    if (status.phase === "Failed") throw new Error(`${name} failed: ${said}`);
    return said;
  }

  /** Which of these addresses a pod of a namespace reaches; each is `host:port`. */
  async reachedFrom(namespace: string, addresses: readonly string[]): Promise<string[]> {
    return JSON.parse(await this.runScript(namespace, `(${reached})(${JSON.stringify(addresses)})`));
  }

  /** Kills what runs in a pod, without a signal that it could hear; the kubelet starts it again. */
  async kill(namespace: string, pod: string): Promise<void> {
    const { body } = await this.api.call("GET", `/api/v1/namespaces/${namespace}/pods/${pod}`);
    for (const { containerID } of body.status.containerStatuses) await this.#node.kill(containerID);
  }

  /** A pod goes as one that is evicted does: budgets are kept. Returns the status that the server answers with. */
  async evict(namespace: string, pod: string): Promise<number | undefined> {
    const eviction = { apiVersion: "policy/v1", kind: "Eviction", metadata: { name: pod, namespace } };
    return (await this.api.call("POST", `/api/v1/namespaces/${namespace}/pods/${pod}/eviction`, eviction)).status;
  }

  /** A region's workloads are gone at once, with their volumes, as when its machines are. */
  async lose(namespace: string): Promise<void> {
    const options = { gracePeriodSeconds: 0, propagationPolicy: "Background" };
    const lists = [
      ...["statefulsets", "deployments", "replicasets"].map((kind) => `/apis/apps/v1/namespaces/${namespace}/${kind}`),
      ...["cronjobs", "jobs"].map((kind) => `/apis/batch/v1/namespaces/${namespace}/${kind}`),
      ...["pods", "persistentvolumeclaims"].map((kind) => `/api/v1/namespaces/${namespace}/${kind}`),
    ];
    for (const list of lists) {
      const { body, status } = await this.api.call("DELETE", list, options);
      if (status >= 300) throw new Error(`${list}: ${status} ${JSON.stringify(body)}`);
    }
    for (const list of lists) await this.untilGone(list, `${list} is empty`);
  }

  /** What is not as it should be in a namespace, for who reads of a failed test. */
  async troubles(namespace: string): Promise<string> {
    const { body } = await this.api.call("GET", `/api/v1/namespaces/${namespace}/pods`);
    const said: string[] = [];
    for (const { metadata, status } of body.items) {
      const name = metadata.name;
      said.push(`${namespace}/${name}: ${status.phase}`);
      for (const container of [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])]) {
        if (container.ready && container.restartCount === 0) continue;
        if (container.state.terminated?.exitCode === 0) continue;
        said.push(`  ${container.name}: ${JSON.stringify(container.state)}, ${container.restartCount} restarts`);
        for (const isPrevious of container.restartCount > 0 ? [true, false] : [false]) {
          said.push((await this.logOf(namespace, name, container.name, isPrevious)).slice(-2_000));
        }
      }
    }
    const { body: events } = await this.api.call("GET", `/api/v1/namespaces/${namespace}/events`);
    const warnings = events.items.filter(({ type }: Loose) => type === "Warning").slice(-10);
    return [...said, ...warnings.map(({ message }: Loose) => `  event: ${message}`)].join("\n");
  }

  async #isRolledOut(namespace: string): Promise<boolean> {
    for (const kind of ["statefulsets", "deployments"]) {
      const { body } = await this.api.call("GET", `/apis/apps/v1/namespaces/${namespace}/${kind}`);
      for (const { metadata, spec, status } of body.items) {
        if (status.observedGeneration !== metadata.generation) return false;
        if ((status.updatedReplicas ?? 0) < spec.replicas || (status.readyReplicas ?? 0) < spec.replicas) return false;
      }
    }
    return true;
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

/** Runs in a pod, whose own policies come to count a while after it has begun. */
async function reached(addresses: string[]): Promise<void> {
  const { connect } = await import("node:net");
  const { setTimeout: pause } = await import("node:timers/promises");
  const isReached = (address: string) =>
    new Promise<boolean>((resolve) => {
      const [host = "", port = ""] = address.split(":");
      const socket = connect({ host, port: Number(port), timeout: 1_000 });
      const end = (is: boolean) => {
        socket.destroy();
        resolve(is);
      };
      socket.once("connect", () => end(true));
      for (const event of ["error", "timeout"]) socket.once(event, () => end(false));
    });
  const all = await Promise.all(
    addresses.map(async (address) => {
      for (let tries = 0; tries < 20; tries += 1) {
        if (await isReached(address)) return true;
        await pause(500);
      }
      return false;
    }),
  );
  console.log(JSON.stringify(addresses.filter((_, index) => all[index])));
}

function isReady({ status }: Loose): boolean {
  return (status.conditions ?? []).some(
    (condition: Loose) => condition.type === "Ready" && condition.status === "True",
  );
}

/** Of a pod: its container runs. */
export function stillRuns({ status }: Loose): boolean {
  return status.containerStatuses?.[0].state.running !== undefined;
}

function isEnded({ status }: Loose): boolean {
  const ends = ["Complete", "Failed"];
  return (status.conditions ?? []).some(({ status: is, type }: Loose) => ends.includes(type) && is === "True");
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
