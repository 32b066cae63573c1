import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { Job } from "../../runtime/domain/job-names.ts";
import { definitionOf, type JobSchedule, objectNameOf } from "../../runtime/domain/jobs.ts";
import type { Role } from "../../runtime/domain/roles/epoch.ts";
import { labelsOf } from "./labels.ts";
import { type ProductPodBase, productPod } from "./product-pod.ts";
import { throwawayQdrant } from "./throwaway-qdrant.ts";
import { worksIn } from "./works-in.ts";

export interface SchedulesArgs extends ProductPodBase {
  readonly namespace: pulumi.Input<string>;
  /** The region's jobs; those that run by the clock are declared here. */
  readonly jobs: readonly Job[];
  readonly role: Role;
}

/**
 * The jobs that run by the clock, in UTC. What the region's role does not call for is suspended, not removed: a change of roles changes one
 * field of each.
 */
export class Schedules extends pulumi.ComponentResource {
  constructor(name: string, args: SchedulesArgs, opts?: pulumi.ComponentResourceOptions) {
    super("qdrant-dr:index:Schedules", name, {}, opts);
    for (const job of args.jobs) {
      const { runs } = definitionOf(job);
      for (const schedule of runs.as === "CronJob" ? runs.schedules : []) {
        new k8s.batch.v1.CronJob(`${name}-${schedule.name}`, cronJob(args, job, schedule), { parent: this });
      }
    }
    this.registerOutputs();
  }
}

function cronJob(args: SchedulesArgs, job: Job, schedule: JobSchedule): k8s.batch.v1.CronJobArgs {
  const { namespace, regionSecrets, role, settings } = args;
  const { schedules } = settings.kubernetes;
  const workers = schedule.isShared ? schedules.workers : 1;
  const labels = labelsOf(objectNameOf(job));
  return {
    metadata: { name: `qdrant-dr-${schedule.name}`, namespace, labels },
    spec: {
      schedule: schedules[schedule.cron],
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
