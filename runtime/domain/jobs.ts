/**
 * The jobs of a region in a cluster, in one table: when each exists, what it is told and may do, what it reaches and how it runs. Accounts,
 * rights, labels, Secrets, schedules and Deployments are made from it.
 */
import { type Job, jobs } from "./job-names.ts";
import { exporterPort, throwawayQdrantUrl } from "./network/ports.ts";
import type { Attestation } from "./recovery-points/recovery-point.ts";
import { controlLayout, storeLayout } from "./recovery-points/store-layout.ts";
import { type FolderKind, foldersByKind } from "./settings/folder-selection.ts";
import type { Resources, Schedules } from "./settings/kubernetes-settings.ts";
import type { KubernetesStackSettings } from "./settings/stack-settings.ts";
import type { Replicate } from "./settings/tiers.ts";

export const storeKinds = ["repository", "control"] as const;
export type StoreKind = (typeof storeKinds)[number];

/** The API key of a region's Qdrant, the age identity that opens its data keys, and the token of its gate's control. */
export type RegionSecret = "apiKey" | "identity" | "gate";

/** What a job has to do with one of the two regions. */
export interface RegionUse {
  /** A job that is not told the identity may not read the region's wrapped data keys either. */
  readonly secrets: readonly RegionSecret[];
  /** The stores that it reads, each with the prefixes under which it creates objects. */
  readonly stores: Readonly<Partial<Record<StoreKind, readonly string[]>>>;
  /** Where in the repository it deletes objects. No job that captures has any. */
  readonly deletes?: readonly string[];
}

/** Parts of the network that a pod may reach. `stores` are outside the cluster, and so is the other region's Qdrant. */
export const reaches = ["qdrant", "stores", "gate", "kubernetes"] as const;
export type Reach = (typeof reaches)[number];

/** The two regions, by their names; a region that is alone has no peer. */
interface RegionNames {
  readonly region: string;
  readonly peer?: string | undefined;
}

/** The arguments of the command line, without those that say where the regions' outputs are. */
type Command = (settings: KubernetesStackSettings) => string[];

/** The roles of the region in which the job works; in the others it is suspended, or has no pod. */
export type WorksWhile = "active" | "not active" | "always";

export interface JobSchedule {
  /** The CronJob is called `qdrant-dr-<name>`. */
  readonly name: string;
  /** The setting that says when, of `kubernetes.schedules`. */
  readonly cron: Exclude<keyof Schedules, "workers">;
  readonly worksWhile: WorksWhile;
  readonly deadlineMinutes: number;
  /** Whether `kubernetes.schedules.workers` pods share the work. */
  readonly isShared: boolean;
  readonly command: (names: RegionNames) => string[];
}

export type JobRun =
  | { readonly as: "CronJob"; readonly schedules: readonly JobSchedule[] }
  | { readonly as: "Deployment"; readonly worksWhile: WorksWhile; readonly command: Command }
  /** Once, after a failover: a Job for each claim that holds folders. */
  | {
      readonly as: "Job";
      readonly command: (names: Pick<RegionNames, "region">, folders: readonly string[]) => string[];
    }
  /** Another program of the image than the command line. */
  | { readonly as: "StatefulSet"; readonly program: string };

export interface JobDefinition {
  /** Whether a region has the job. */
  readonly exists: (settings: KubernetesStackSettings, hasPeer: boolean) => boolean;
  readonly own: RegionUse;
  /** Left out: the job knows nothing of the other region. */
  readonly peer?: RegionUse;
  /** `kubernetes` only where the settings say that objects of the cluster are captured. */
  readonly reaches: readonly Reach[];
  readonly resources: Resources;
  /** Whether it mounts the volumes with the folders of configuration and user data. */
  readonly readsFolders: boolean;
  /** Whether it makes the leases of the mode `consistency`, at the witness. */
  readonly holdsLease: boolean;
  /** Whether it writes its region's journal into the other region's repository. */
  readonly writesJournal: boolean;
  readonly runs: JobRun;
}

const always = () => true;
const readOnly: readonly string[] = [];
const recoveryPointParts = [
  storeLayout.packs,
  storeLayout.trees,
  storeLayout.facts,
  `${storeLayout.recoveryPoints}*/manifest`,
];
/** Where a prune of the history deletes; the stream has a job of its own. */
export const prunedHistory: readonly string[] = [
  storeLayout.packs,
  storeLayout.trees,
  storeLayout.facts,
  storeLayout.healed,
  storeLayout.recoveryPoints,
  storeLayout.sessions,
];
const capturedParts = [storeLayout.repository, ...recoveryPointParts];
const streamedParts = [...recoveryPointParts, storeLayout.sessions].map(storeLayout.inStream);
/** What each job may say of recovery points. */
const attested = (...kinds: readonly Attestation["kind"][]) =>
  kinds.map((kind) => `${storeLayout.recoveryPoints}*/attestations/${kind}-`);
/** Who captures may doubt what captures can know to be wrong, and quarantine none. */
const doubts = attested("doubted");
const noExtras = { readsFolders: false, holdsLease: false, writesJournal: false };

export const jobTable = {
  capture: {
    ...noExtras,
    exists: always,
    own: {
      secrets: ["apiKey", "identity"],
      stores: {
        repository: [...capturedParts, ...doubts, storeLayout.sessions],
        control: [controlLayout.keys, controlLayout.snapshots, controlLayout.runs],
      },
    },
    reaches: ["qdrant", "stores", "kubernetes"],
    resources: { cpu: "500m", memory: "1Gi" },
    readsFolders: true,
    runs: {
      as: "CronJob",
      schedules: [
        {
          name: "full",
          cron: "full",
          worksWhile: "active",
          deadlineMinutes: 120,
          isShared: true,
          command: ({ region }) => ["backup", "--stack", region, "--type", "full"],
        },
        {
          name: "incremental",
          cron: "incremental",
          worksWhile: "active",
          deadlineMinutes: 60,
          isShared: true,
          command: ({ region }) => ["backup", "--stack", region, "--type", "incremental"],
        },
      ],
    },
  },
  copy: {
    ...noExtras,
    exists: (_, hasPeer) => hasPeer,
    own: {
      secrets: ["identity"],
      stores: {
        repository: [...capturedParts, storeLayout.sessions],
        control: [controlLayout.keys, controlLayout.runs],
      },
    },
    peer: { secrets: ["identity"], stores: { repository: readOnly, control: readOnly } },
    reaches: ["stores"],
    resources: { cpu: "250m", memory: "1Gi" },
    runs: {
      as: "CronJob",
      schedules: [
        {
          name: "copy",
          cron: "copy",
          // The standby fetches: it goes on with what is there when the active region is lost.
          worksWhile: "not active",
          deadlineMinutes: 120,
          isShared: false,
          command: (names) => ["copy", "--from", peerOf(names), "--to", names.region],
        },
      ],
    },
  },
  verify: {
    ...noExtras,
    exists: always,
    own: {
      secrets: ["identity"],
      stores: {
        repository: attested("verified", "quarantined", "folders-quarantined"),
        control: [controlLayout.runs, controlLayout.verifications],
      },
    },
    reaches: ["stores"],
    resources: { cpu: "250m", memory: "1Gi" },
    runs: {
      as: "CronJob",
      schedules: [
        {
          name: "verify",
          cron: "verify",
          worksWhile: "always",
          deadlineMinutes: 240,
          isShared: false,
          command: ({ region }) => ["verify", "--stack", region],
        },
      ],
    },
  },
  "test-restore": {
    ...noExtras,
    exists: always,
    own: {
      // It asks this region's Qdrant, to be sure that its target is another one.
      secrets: ["apiKey", "identity"],
      stores: { repository: attested("restored"), control: [controlLayout.restores, controlLayout.runs] },
    },
    reaches: ["qdrant", "stores"],
    resources: { cpu: "250m", memory: "1Gi" },
    runs: {
      as: "CronJob",
      schedules: [
        {
          name: "test-restore",
          cron: "testRestore",
          worksWhile: "always",
          deadlineMinutes: 480,
          isShared: false,
          // What an earlier job left unfinished went with its Qdrant.
          command: ({ region }) => ["restore", "--stack", region, "--to", throwawayQdrantUrl, "--discard-unfinished"],
        },
        {
          name: "drill",
          cron: "drill",
          // In the region that would take over.
          worksWhile: "not active",
          deadlineMinutes: 480,
          isShared: false,
          command: ({ region }) => ["drill", "--to", region, "--throwaway", throwawayQdrantUrl],
        },
      ],
    },
  },
  replicate: {
    ...noExtras,
    exists: ({ kubernetes }, hasPeer) => hasPeer && kubernetes.replicate !== undefined,
    own: {
      secrets: ["apiKey", "identity"],
      stores: {
        repository: [...capturedParts, ...doubts, storeLayout.sessions, ...streamedParts],
        control: [controlLayout.keys, controlLayout.snapshots, controlLayout.standby],
      },
    },
    peer: { secrets: ["apiKey"], stores: { control: readOnly } },
    reaches: ["qdrant", "stores"],
    resources: { cpu: "1", memory: "1Gi" },
    runs: {
      as: "Deployment",
      worksWhile: "not active",
      command: (settings) => {
        const { everySeconds, tiers } = replicateOf(settings);
        const inTiers = Object.entries(tiers).flatMap(([name, seconds]) => ["--tier", `${name}=${seconds}`]);
        return [...replicateCommand(settings.peer, settings.region), "--every", String(everySeconds), ...inTiers];
      },
    },
  },
  // It reads folders where they are, and makes recovery points of them in the other region's repository, with that region's keys.
  "replicate-folders": {
    ...noExtras,
    exists: (settings, hasPeer) => hasPeer && replicatedFolderKinds(settings).length > 0,
    own: { secrets: [], stores: { control: readOnly } },
    peer: {
      secrets: ["identity"],
      stores: {
        repository: [...capturedParts, ...doubts, storeLayout.sessions, ...streamedParts],
        control: [controlLayout.keys],
      },
    },
    reaches: ["stores"],
    resources: { cpu: "250m", memory: "1Gi" },
    readsFolders: true,
    runs: {
      as: "Deployment",
      worksWhile: "active",
      command: (settings) => [
        ...replicateCommand(settings.region, settings.peer),
        "--only",
        replicatedFolderKinds(settings).join(),
        "--every",
        String(replicateOf(settings).everySeconds),
      ],
    },
  },
  // It writes to the claims of a region that a failover promoted, and to no Qdrant.
  "restore-folders": {
    ...noExtras,
    exists: (settings) => foldersByKind(settings).length > 0,
    own: { secrets: ["identity"], stores: { repository: readOnly, control: [controlLayout.restoredFolders] } },
    reaches: ["stores"],
    resources: { cpu: "250m", memory: "1Gi" },
    runs: {
      as: "Job",
      command: ({ region }, folders) => ["failover", "folders", "--to", region, "--names", folders.join()],
    },
  },
  prune: {
    ...noExtras,
    exists: always,
    own: {
      // What a recovery point needs is sealed.
      secrets: ["identity"],
      stores: { repository: readOnly, control: [controlLayout.prunes, controlLayout.runs] },
      deletes: prunedHistory,
    },
    reaches: ["stores"],
    resources: { cpu: "250m", memory: "1Gi" },
    runs: {
      as: "CronJob",
      schedules: [
        {
          name: "prune",
          cron: "prune",
          worksWhile: "always",
          deadlineMinutes: 240,
          isShared: false,
          command: ({ region }) => ["prune", "--stack", region],
        },
      ],
    },
  },
  "prune-stream": {
    ...noExtras,
    exists: ({ kubernetes }) => kubernetes.replicate !== undefined,
    own: {
      secrets: ["identity"],
      stores: { repository: readOnly, control: readOnly },
      deletes: [storeLayout.stream],
    },
    reaches: ["stores"],
    resources: { cpu: "100m", memory: "512Mi" },
    runs: {
      as: "Deployment",
      // What a standby was brought before it was promoted is deleted afterwards.
      worksWhile: "always",
      command: ({ region }) => ["prune", "--stream", "--stack", region],
    },
  },
  gate: {
    ...noExtras,
    exists: always,
    // Its guard carries an epoch home that only the other region was told of.
    own: { secrets: ["apiKey"], stores: { control: [controlLayout.epochs] } },
    peer: { secrets: [], stores: { control: readOnly } },
    reaches: ["qdrant", "stores"],
    resources: { cpu: "500m", memory: "512Mi" },
    holdsLease: true,
    writesJournal: true,
    runs: { as: "StatefulSet", program: "/app/gate.mjs" },
  },
  exporter: {
    ...noExtras,
    exists: ({ kubernetes }) => kubernetes.monitoring !== undefined,
    // Manifests and trees are sealed: to say which recovery points are complete it opens them.
    own: { secrets: ["apiKey", "identity", "gate"], stores: { repository: readOnly, control: readOnly } },
    peer: { secrets: [], stores: { control: readOnly } },
    reaches: ["qdrant", "stores", "gate"],
    resources: { cpu: "100m", memory: "512Mi" },
    runs: {
      as: "Deployment",
      worksWhile: "always",
      command: ({ region }) => ["exporter", "--stack", region, "--host", "0.0.0.0", "--port", String(exporterPort)],
    },
  },
} as const satisfies Readonly<Record<Job, JobDefinition>>;

/** Name of the job's objects, its ServiceAccount among them. */
export function objectNameOf(job: Job): string {
  return `qdrant-dr-${job}`;
}

/** @param hasPeer whether the other region's outputs are known here. */
export function jobsOf(settings: KubernetesStackSettings, hasPeer: boolean): Job[] {
  return jobs.filter((job) => definitionOf(job).exists(settings, hasPeer));
}

export function definitionOf(job: Job): JobDefinition {
  return jobTable[job];
}

/** The parts of the network that the job's pods reach in a region with these settings. */
export function reachesOf(job: Job, { infrastructure }: Pick<KubernetesStackSettings, "infrastructure">): Reach[] {
  return definitionOf(job).reaches.filter((reach) => reach !== "kubernetes" || infrastructure.kubernetes !== undefined);
}

/** Kinds of the folders that the other region is brought as they change. */
function replicatedFolderKinds(settings: KubernetesStackSettings): FolderKind[] {
  if (settings.kubernetes.replicate?.folders !== true) return [];
  return [...new Set(foldersByKind(settings).map(({ kind }) => kind))];
}

function replicateCommand(from: string, to: string): string[] {
  return ["replicate", "--from", from, "--to", to];
}

/** @throws when the region is alone: then no job exists that asks. */
function peerOf({ peer }: RegionNames): string {
  if (peer === undefined) throw new Error("the region has no peer");
  return peer;
}

/** @throws when the settings have no replication: then no job exists that asks. */
function replicateOf({ kubernetes }: KubernetesStackSettings): Replicate {
  if (kubernetes.replicate === undefined) throw new Error("the settings have no kubernetes.replicate");
  return kubernetes.replicate;
}
