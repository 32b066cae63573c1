/** The one node of a cluster: its network, container runtime, kubelet, service proxy, and what enforces network policies. */
import { type ChildProcess, execFile, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream, mkdirSync, readdirSync, realpathSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import type { KubernetesServer } from "../servers/kubernetes-server.ts";
import { eventually } from "../time/eventually.ts";
import { makeCgroups } from "./cgroups.ts";
import type { Image } from "./images.ts";
import {
  cgroupOf,
  clusterFolder,
  dnsAddress,
  mountOverlay,
  nodeAddress,
  nodeName,
  podCidr,
  serviceCidr,
} from "./place.ts";

const bridge = "kube-bridge";
/** Where programs write at places of their own choice: in the cluster's namespace it goes to the cluster's folder. */
const writtenPlaces = ["/opt", "/var/lib", "/var/log"];

export class ClusterNode {
  readonly #socket = "/run/containerd/containerd.sock";
  readonly #runtime = dirname(
    dirname(realpathSync(execFileSync("which", ["containerd"], { encoding: "utf8" }).trim())),
  );
  readonly #env = { ...process.env, ...libraries(this.#runtime) };
  readonly #processes = new Map<string, ChildProcess>();

  /** The addresses that stores are given beside the node's own. */
  static makeNetwork(more: readonly string[]): void {
    const ip = (line: string) => execFileSync("ip", line.split(" "));
    ip("link set lo up");
    ip("link add node0 type veth peer name node0-peer");
    for (const address of [nodeAddress, ...more]) ip(`addr add ${address}/24 dev node0`);
    for (const device of ["node0", "node0-peer"]) ip(`link set ${device} up`);
    ip("route add default dev node0");
    const values = { "ipv4/ip_forward": 1, "bridge/bridge-nf-call-iptables": 1, "ipv4/conf/all/rp_filter": 0 };
    for (const [name, value] of Object.entries(values)) writeFileSync(`/proc/sys/net/${name}`, String(value));
  }

  async start(api: KubernetesServer, pause: Image): Promise<void> {
    execFileSync("mount", ["--make-rshared", "/"]);
    execFileSync("mount", ["-t", "tmpfs", "tmpfs", "/run"]);
    for (const place of writtenPlaces) mountOverlay(place);
    makeCgroups(clusterFolder());
    this.#start("containerd", [
      "-c",
      this.#write("containerd.toml", containerdConfig(this.#socket, this.#runtime, pause)),
    ]);
    this.#write("cni/10-bridge.conflist", JSON.stringify(cniConfig()));
    await eventually("containerd answers", () =>
      this.#ctr("version").then(
        () => true,
        () => false,
      ),
    );
    await this.importImages([pause]);
    const config = this.#write("kubelet.json", JSON.stringify(kubeletConfig(this.#socket)));
    this.#start("kubelet", [
      ...["--config", config, "--kubeconfig", api.kubeconfig, "--root-dir", clusterFolder("kubelet")],
      ...["--hostname-override", nodeName, "--node-ip", nodeAddress, "--cert-dir", clusterFolder("kubelet-keys")],
    ]);
    this.#start("kube-proxy", [
      "--config",
      this.#write("kube-proxy.json", JSON.stringify(proxyConfig(api.kubeconfig))),
    ]);
    await eventually(
      "the node is ready",
      async () => {
        const { body } = await api.call("GET", `/api/v1/nodes/${nodeName}`);
        return body.status?.conditions?.some(
          ({ status, type }: { status: string; type: string }) => type === "Ready" && status === "True",
        );
      },
      { everyMs: 200, withinMs: 120_000 },
    );
    this.#start("kube-router", [
      ...["--kubeconfig", api.kubeconfig, "--hostname-override", nodeName],
      ...["--run-router=false", "--run-service-proxy=false", "--run-firewall=true", "--run-loadbalancer=false"],
      ...[
        "--enable-ipv6=false",
        `--service-cluster-ip-range=${serviceCidr}`,
        "--metrics-port=0",
        "--health-port=20244",
      ],
    ]);
  }

  async importImages(images: readonly Image[]): Promise<void> {
    for (const { file } of images) await this.#ctr("-n", "k8s.io", "images", "import", file);
  }

  /** Kills what runs in a container, as the kernel does that is out of memory. */
  async kill(containerId: string): Promise<void> {
    await this.#ctr("-n", "k8s.io", "tasks", "kill", "--signal", "SIGKILL", containerId.replace(/^.*:\/\//, ""));
  }

  #ctr(...args: readonly string[]) {
    return promisify(execFile)("ctr", ["-a", this.#socket, ...args], { env: this.#env });
  }

  /** Its output goes to a file of the cluster's folder. */
  #start(program: string, args: readonly string[]): void {
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], env: this.#env });
    const log = createWriteStream(clusterFolder(`${program}.log`));
    for (const stream of [child.stdout, child.stderr]) stream.pipe(log, { end: false });
    child.once("error", (error) => log.write(`${error}\n`));
    this.#processes.set(program, child);
  }

  #write(name: string, content: string): string {
    const file = clusterFolder(name);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
    return file;
  }

  async stop(): Promise<void> {
    for (const child of [...this.#processes.values()].reverse()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const exit = once(child, "exit");
      child.kill("SIGKILL");
      await exit;
    }
  }
}

/** What Debian's packages link to stands beside them, unless they are installed. */
function libraries(runtime: string): Record<string, string> {
  if (runtime === "/usr") return {};
  const folder = readdirSync(join(runtime, "lib")).find((name) => name.endsWith("-linux-gnu"));
  if (folder === undefined) return {};
  return {
    LD_LIBRARY_PATH: join(runtime, "lib", folder),
    XTABLES_LIBDIR: join(runtime, "lib", folder, "xtables"),
  };
}

function containerdConfig(socket: string, runtime: string, pause: Image): string {
  const cri = 'plugins."io.containerd.grpc.v1.cri"';
  return [
    "version = 2",
    `root = "${clusterFolder("containerd")}"`,
    'state = "/run/containerd/state"',
    "[grpc]",
    `address = "${socket}"`,
    `[${cri}]`,
    `sandbox_image = "${pause.name}"`,
    // What a container may not do here, its node may not either.
    "restrict_oom_score_adj = true",
    `[${cri}.cni]`,
    `bin_dir = "${join(runtime, "lib", "cni")}"`,
    `conf_dir = "${clusterFolder("cni")}"`,
    `[${cri}.containerd]`,
    'snapshotter = "overlayfs"',
    `[${cri}.containerd.runtimes.runc]`,
    'runtime_type = "io.containerd.runc.v2"',
  ].join("\n");
}

function cniConfig() {
  const ipam = {
    type: "host-local",
    dataDir: clusterFolder("addresses"),
    ranges: [[{ subnet: podCidr.replace("/16", "/24") }]],
    routes: [{ dst: "0.0.0.0/0" }],
  };
  return {
    cniVersion: "0.4.0",
    name: "pods",
    plugins: [{ type: "bridge", bridge, isGateway: true, ipMasq: false, hairpinMode: true, ipam }],
  };
}

function kubeletConfig(socket: string) {
  return {
    apiVersion: "kubelet.config.k8s.io/v1beta1",
    kind: "KubeletConfiguration",
    address: nodeAddress,
    // Nothing outside the cluster's network reaches it.
    authentication: { anonymous: { enabled: true }, webhook: { enabled: false } },
    authorization: { mode: "AlwaysAllow" },
    containerRuntimeEndpoint: `unix://${socket}`,
    cgroupDriver: "cgroupfs",
    cgroupRoot: `/${cgroupOf(clusterFolder())}`,
    failCgroupV1: false,
    failSwapOn: false,
    enforceNodeAllocatable: [],
    oomScoreAdj: 0,
    healthzBindAddress: "127.0.0.1",
    clusterDNS: [dnsAddress],
    clusterDomain: "cluster.local",
    evictionHard: { "memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%" },
    syncFrequency: "10s",
    maxPods: 200,
  };
}

function proxyConfig(kubeconfig: string) {
  return {
    apiVersion: "kubeproxy.config.k8s.io/v1alpha1",
    kind: "KubeProxyConfiguration",
    bindAddress: "0.0.0.0",
    healthzBindAddress: "127.0.0.1:10256",
    metricsBindAddress: "127.0.0.1:10249",
    clientConnection: { kubeconfig },
    clusterCIDR: podCidr,
    hostnameOverride: nodeName,
    mode: "iptables",
    oomScoreAdj: 0,
    conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: "0s", tcpCloseWaitTimeout: "0s" },
  };
}
