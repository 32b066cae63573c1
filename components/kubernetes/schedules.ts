import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { type Job, objectNameOf } from "../../runtime/domain/jobs.ts";
import type { Role } from "../../runtime/domain/roles/epoch.ts";
import type {
  KubernetesPart,
  QdrantSettings,
  Resources,
  Schedules as ScheduleSettings,
} from "../../runtime/domain/settings/kubernetes-settings.ts";
import { labelsOf, reaches } from "./labels.ts";
import { type ProductPodArgs, type ProductPodBase, productPod } from "./product-pod.ts";
import { throwawayQdrant } from "./throwaway-qdrant.ts";

export interface SchedulesArgs extends ProductPodBase {
  readonly namespace: pulumi.Input<string>;
  readonly region: string;
  /** The other region, once its outputs are known here. */
  readonly peer?: string | undefined;
  readonly role: Role;
  readonly schedules: ScheduleSettings;
  readonly qdrant: QdrantSettings;
  /** Whether captures read objects of the cluster. */
  readonly capturesObjects: boolean;
  /** Volumes with folders that captures read. */
  readonly claims: KubernetesPart["claims"];
}

interface Scheduled {
  /** The CronJob is called qdrant-dr-<what>. */
  readonly what: string;
  readonly schedule: string;
  readonly isSuspended: boolean;
  readonly deadlineMinutes: number;
  readonly pod: Pick<ProductPodArgs, "job" | "command" | "reaches"> & Partial<ProductPodArgs>;
  /** Pods that share the work; each knows its index. */
  readonly workers?: number;
}

const resourcesOf: Partial<Record<Job, Resources>> = { capture: { cpu: "500m", memory: "1Gi" } };
const otherwise: Resources = { cpu: "250m", memory: "1Gi" };

/**
 * What runs by the clock, in UTC. What the region's role does not call for is suspended, not removed: a change of roles changes one field
 * of each.
 */
export class Schedules extends pulumi.ComponentResource {
  constructor(name: string, args: SchedulesArgs, opts?: pulumi.ComponentResourceOptions) {
    super("qdrant-dr:index:Schedules", name, {}, opts);
    for (const scheduled of scheduledIn(args)) {
      new k8s.batch.v1.CronJob(`${name}-${scheduled.what}`, cronJob(args, scheduled), { parent: this });
    }
    this.registerOutputs();
  }
}

function scheduledIn(args: SchedulesArgs): Scheduled[] {
  const { peer, qdrant, region, role, schedules } = args;
  const isActive = role === "active";
  const copy = (from: string): Scheduled => ({
    what: "copy",
    schedule: schedules.copy,
    // The standby fetches: it goes on with what is there when the active region is lost.
    isSuspended: isActive,
    deadlineMinutes: 120,
    pod: { job: "copy", command: ["copy", "--from", from, "--to", region], reaches: [reaches.stores] },
  });
  return [
    capture("full", schedules.full, 120, args),
    capture("incremental", schedules.incremental, 60, args),
    ...(peer === undefined ? [] : [copy(peer)]),
    {
      what: "verify",
      schedule: schedules.verify,
      isSuspended: false,
      deadlineMinutes: 240,
      pod: { job: "verify", command: ["verify", "--stack", region], reaches: [reaches.stores] },
    },
    {
      what: "test-restore",
      schedule: schedules.testRestore,
      isSuspended: false,
      deadlineMinutes: 480,
      pod: {
        job: "test-restore",
        // What a job before this one left unfinished went with its Qdrant.
        command: ["restore", "--stack", region, "--to", throwawayQdrant.url, "--discard-unfinished"],
        // It makes sure that its target is not the region's own Qdrant.
        reaches: [reaches.qdrant, reaches.stores],
        pod: throwawayQdrant.pod(qdrant),
      },
    },
  ];
}

function capture(
  type: "full" | "incremental",
  schedule: string,
  deadlineMinutes: number,
  { capturesObjects, claims, region, role, schedules }: SchedulesArgs,
): Scheduled {
  const shared = ["--worker", `$(JOB_COMPLETION_INDEX)/${schedules.workers}`, "--session", "$(SESSION)"];
  const jobName = "metadata.labels['batch.kubernetes.io/job-name']";
  return {
    what: type,
    schedule,
    isSuspended: role !== "active",
    deadlineMinutes,
    workers: schedules.workers,
    pod: {
      job: "capture",
      command: ["backup", "--stack", region, "--type", type, ...shared],
      env: [{ name: "SESSION", valueFrom: { fieldRef: { fieldPath: jobName } } }],
      reaches: [reaches.qdrant, reaches.stores, ...(capturesObjects ? [reaches.kubernetes] : [])],
      usesKubernetes: capturesObjects,
      claims,
    },
  };
}

function cronJob(args: SchedulesArgs, scheduled: Scheduled): k8s.batch.v1.CronJobArgs {
  const { deadlineMinutes, isSuspended, pod, schedule, what, workers = 1 } = scheduled;
  const { image, namespace, regionSecrets = {}, tlsSecret } = args;
  const template = productPod({
    image,
    regionSecrets,
    tlsSecret,
    resources: resourcesOf[pod.job] ?? otherwise,
    ...pod,
    pod: { restartPolicy: "Never", terminationGracePeriodSeconds: 60, ...pod.pod },
  });
  return {
    metadata: { name: `qdrant-dr-${what}`, namespace, labels: labelsOf(objectNameOf(pod.job)) },
    spec: {
      schedule,
      timeZone: "Etc/UTC",
      suspend: isSuspended,
      concurrencyPolicy: "Forbid",
      startingDeadlineSeconds: 300,
      successfulJobsHistoryLimit: 3,
      failedJobsHistoryLimit: 3,
      jobTemplate: {
        metadata: { labels: labelsOf(objectNameOf(pod.job)) },
        spec: {
          completionMode: "Indexed",
          completions: workers,
          parallelism: workers,
          backoffLimit: 2 * workers,
          activeDeadlineSeconds: deadlineMinutes * 60,
          template,
        },
      },
    },
  };
}
