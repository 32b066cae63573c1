/** A job's account, as a plain object. Its pods get a token only where they read the cluster. */
import type * as k8s from "@pulumi/kubernetes";
import type * as pulumi from "@pulumi/pulumi";
import type { Job } from "../../runtime/domain/job-names.ts";
import { objectNameOf } from "../../runtime/domain/jobs.ts";
import { labelsOf } from "./labels.ts";

export function serviceAccount(
  job: Job,
  namespace: pulumi.Input<string>,
  annotations: pulumi.Input<Record<string, string>> = {},
): Pick<k8s.types.input.core.v1.ServiceAccount, "automountServiceAccountToken" | "metadata"> {
  return {
    metadata: { name: objectNameOf(job), namespace, labels: labelsOf(objectNameOf(job)), annotations },
    automountServiceAccountToken: false,
  };
}
