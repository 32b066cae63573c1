import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { type CronJobsArgs, cronJobs } from "./cron-jobs.ts";

/** The jobs that run by the clock. */
export class Schedules extends pulumi.ComponentResource {
  constructor(name: string, args: CronJobsArgs, opts?: pulumi.ComponentResourceOptions) {
    super("qdrant-dr:index:Schedules", name, {}, opts);
    for (const [schedule, object] of cronJobs(args)) {
      new k8s.batch.v1.CronJob(`${name}-${schedule}`, object, { parent: this });
    }
    this.registerOutputs();
  }
}
