/** Writes the jobs of a settings file as plain manifests, from the objects that stacks declare: CronJobs, accounts, Secrets, network policies. */
import { stringify } from "yaml";
import { cronJobs } from "../../../components/kubernetes/cron-jobs.ts";
import { labelsOf } from "../../../components/kubernetes/labels.ts";
import { networkPolicies } from "../../../components/kubernetes/network-policies.ts";
import { regionFiles, regionsDigest } from "../../../components/kubernetes/region-secret.ts";
import { restrictedNamespace } from "../../../components/kubernetes/restricted-pod.ts";
import { serviceAccount } from "../../../components/kubernetes/service-account.ts";
import type { Job } from "../../domain/job-names.ts";
import { objectNameOf } from "../../domain/jobs.ts";
import type { Region } from "../../domain/region.ts";
import { isRegionJob, ownRegionFor } from "../../domain/region-for-job.ts";
import { addressOf } from "../../domain/server-address.ts";
import { clusterOf } from "../../domain/settings/cluster-jobs.ts";
import { off, type RegionSettings } from "../../domain/settings/region-settings.ts";
import type { TextFiles } from "../../ports/text-files.ts";
import { type ExportedFiles, exportFiles } from "./export-files.ts";

export interface ExportKubernetesRequest {
  /** A settings file's name, and what it says. */
  readonly file: string;
  readonly settings: RegionSettings;
  /** The region that it describes, with its secrets. */
  readonly region: Region;
  readonly folder: TextFiles;
}

export interface ExportedKubernetes extends ExportedFiles {
  readonly namespace: string;
  /** Names of the CronJobs. */
  readonly cronJobs: readonly string[];
}

/** Jobs of a region that is alone, of which its clients' Qdrant is somebody else's to run. */
const jobs: readonly Job[] = ["capture", "verify", "test-restore", "prune"];

/** @throws SETTING_INVALID, TARGET_NOT_EMPTY, before anything is written. */
export async function exportKubernetes(request: ExportKubernetesRequest): Promise<ExportedKubernetes> {
  const { folder, region, settings } = request;
  const cluster = clusterOf(request.file, settings);
  const { namespace } = cluster;
  const secrets = new Map(jobs.filter(isRegionJob).map((job) => [job, secretOf(job, region, namespace)] as const));
  const scheduled = cronJobs({
    namespace,
    jobs,
    role: "active",
    settings: {
      region: region.region,
      infrastructure: { stacks: [] },
      kubernetes: {
        image: cluster.image,
        claims: cluster.claims,
        qdrant: { ...cluster.throwaway, tlsSecret: cluster.qdrant.tlsSecret },
        schedules: schedulesOf(settings, cluster.workers),
      },
    },
    regionSecrets: Object.fromEntries(
      [...secrets].map(([job, { metadata, told }]) => [job, { name: metadata.name, digest: regionsDigest([told]) }]),
    ),
  });
  const files = {
    // In the order in which `kubectl apply` takes the files of a folder.
    "1-namespace.yaml": cluster.createNamespace ? [namespaceOf(namespace)] : [],
    "2-accounts.yaml": jobs.map((job) => ({
      apiVersion: "v1",
      kind: "ServiceAccount",
      ...serviceAccount(job, namespace),
    })),
    "3-secrets.yaml": [...secrets.values()].map(({ told: _, ...object }) => object),
    "4-network.yaml": [...networkPolicies(reachOf(region, cluster)).values()].map((object) => ({
      apiVersion: "networking.k8s.io/v1",
      kind: "NetworkPolicy",
      ...object,
    })),
    "5-cronjobs.yaml": [...scheduled.values()].map((object) => ({
      apiVersion: "batch/v1",
      kind: "CronJob",
      ...object,
    })),
  };
  const texts = Object.entries(files).flatMap(([name, objects]) =>
    objects.length === 0 ? [] : [[`manifests/${name}`, textOf(objects)] as const],
  );
  return {
    namespace,
    cronJobs: [...scheduled.keys()].map((name) => `qdrant-dr-${name}`),
    ...(await exportFiles(folder, new Map(texts))),
  };
}

function secretOf(job: Parameters<typeof ownRegionFor>[0], region: Region, namespace: string) {
  // Whoever runs a settings file signs with one key: the file names no other.
  const told = ownRegionFor(job, region, { signing: region.keys.signing ?? "" });
  const name = objectNameOf(job);
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: `${name}-regions`, namespace, labels: labelsOf(name) },
    stringData: regionFiles([told]),
    told,
  };
}

function namespaceOf(name: string) {
  return {
    apiVersion: "v1",
    kind: "Namespace",
    metadata: { name, labels: { ...labelsOf("qdrant-dr"), ...restrictedNamespace } },
  };
}

/** A drill needs a pair. */
function schedulesOf({ schedules: { drill: _, ...schedules } }: RegionSettings, workers: number) {
  const inUse = Object.entries(schedules).filter(([, cron]) => cron !== off);
  return { ...(Object.fromEntries(inUse) as Partial<typeof schedules>), workers };
}

function reachOf({ control, qdrant, repository }: Region, cluster: ReturnType<typeof clusterOf>) {
  const ports = [repository, control].flatMap((store) => {
    if (store.kind === "file") return [];
    return store.endpoint === undefined ? 443 : addressOf(store.endpoint).port;
  });
  const { namespace, podLabels } = cluster.qdrant;
  return {
    namespace: cluster.namespace,
    existingQdrant: { urls: qdrant.peers, serviceUrl: qdrant.peers[0] ?? "", namespace, podLabels },
    egressCidrs: cluster.egressCidrs,
    egressPorts: [...new Set(ports)],
    // Pods on EKS get their role's credentials from an agent on their node.
    usesPodIdentity:
      repository.kind === "s3" && repository.endpoint === undefined && repository.credentials === undefined,
    hasGate: false,
    clientNamespaces: [],
    clientCidrs: [],
    outsideCidrs: [],
    controlCidrs: [],
    apiServerCidrs: [],
    monitoringNamespace: undefined,
  };
}

/** As Kubernetes reads it: what is not set is not there. */
function textOf(objects: readonly object[]): string {
  return objects
    .map((object) => stringify(JSON.parse(JSON.stringify(object)), { aliasDuplicateObjects: false }))
    .join("---\n");
}
