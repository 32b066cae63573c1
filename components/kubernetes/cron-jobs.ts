/** The jobs that run by the clock, as plain objects: stacks declare them, and `export kubernetes` writes them. */
import type * as k8s from "@pulumi/kubernetes";
import type * as pulumi from "@pulumi/pulumi";
import type { Job } from "../../runtime/domain/job-names.ts";
import { definitionOf, type JobSchedule, objectNameOf } from "../../runtime/domain/jobs.ts";
import type { Role } from "../../runtime/domain/roles/epoch.ts";
import { labelsOf } from "./labels.ts";
import { type PodSettings, type ProductPodBase, productPod } from "./product-pod.ts";
import { type ThrowawaySettings, throwawayQdrant } from "./throwaway-qdrant.ts";
import { worksIn } from "./works-in.ts";

export interface CronJobSettings extends PodSettings {
  readonly region: string;
  readonly peer?: string | undefined;
  readonly kubernetes: PodSettings["kubernetes"] & {
    /** What has no cron expression has no CronJob. */
    readonly schedules: Readonly<Partial<Record<JobSchedule["cron"], string | undefined>>> & {
      readonly workers: number;
    };
    /** Of the Qdrant that a test restore goes into. */
    readonly qdrant: ThrowawaySettings;
  };
}

export interface CronJobsArgs extends ProductPodBase<CronJobSettings> {
  readonly namespace: pulumi.Input<string>;
  /** The region's jobs; those that run by the clock are declared here. */
  readonly jobs: readonly Job[];
  readonly role: Role;
}

type CronJob = Pick<k8s.types.input.batch.v1.CronJob, "metadata" | "spec">;

/**
 * By the name of its schedule, in UTC. What the region's role does not call for is suspended, not removed: a change of roles changes one
 * field of each.
 */
export function cronJobs(args: CronJobsArgs): Map<string, CronJob> {
  const found = args.jobs.flatMap((job) => {
    const { runs } = definitionOf(job);
    return (runs.as === "CronJob" ? runs.schedules : []).flatMap((schedule) => {
      const cron = args.settings.kubernetes.schedules[schedule.cron];
      return cron === undefined ? [] : [[schedule.name, cronJob(args, job, schedule, cron)] as const];
    });
  });
  return new Map(found);
}

function cronJob(args: CronJobsArgs, job: Job, schedule: JobSchedule, cron: string): CronJob {
  const { namespace, regionSecrets, role, settings } = args;
  const { schedules } = settings.kubernetes;
  const workers = schedule.isShared ? schedules.workers : 1;
  const labels = labelsOf(objectNameOf(job));
  return {
    metadata: { name: `qdrant-dr-${schedule.name}`, namespace, labels },
    spec: {
      schedule: cron,
      timeZone: "Etc/UTC",
      suspend: !worksIn(role, schedule.worksWhile),
      concurrencyPolicy: "Forbid",
      startingDeadlineSeconds: 300,
      successfulJobsHistoryLimit: 3,
      failedJobsHistoryLimit: 3,
      jobTemplate: {
        metadata: { labels },
        spec: {
          completionMode: "Indexed",
          completions: workers,
          parallelism: workers,
          backoffLimit: 2 * workers,
          activeDeadlineSeconds: schedule.deadlineMinutes * 60,
          // A volume of a pod is there for as long as the pod; the log stays long enough to be read.
          ...(job === "test-restore" ? { ttlSecondsAfterFinished: 3600 } : {}),
          template: productPod({
            settings,
            regionSecrets,
            job,
            command: [...schedule.command(settings), ...(schedule.isShared ? sharedArguments(workers) : [])],
            env: schedule.isShared ? [session] : [],
            pod: {
              restartPolicy: "Never",
              terminationGracePeriodSeconds: 60,
              ...(job === "test-restore" ? throwawayQdrant(settings.kubernetes.qdrant) : {}),
            },
          }),
        },
      },
    },
  };
}

/** The pods of one run share a session, and each knows its index. */
function sharedArguments(workers: number): string[] {
  return ["--worker", `$(JOB_COMPLETION_INDEX)/${workers}`, "--session", "$(SESSION)"];
}

const session = {
  name: "SESSION",
  valueFrom: { fieldRef: { fieldPath: "metadata.labels['batch.kubernetes.io/job-name']" } },
};
