/** Finds the pods and containers of what runs in a cluster. */
import type { Props } from "./rule.ts";

export const workloads = [
  "kubernetes:apps/v1:Deployment",
  "kubernetes:apps/v1:StatefulSet",
  "kubernetes:apps/v1:DaemonSet",
  "kubernetes:batch/v1:Job",
  "kubernetes:batch/v1:CronJob",
  "kubernetes:core/v1:Pod",
];

export function podOf(type: string, props: Props): Props {
  const spec = type.endsWith(":CronJob") ? props["spec"]?.jobTemplate?.spec : props["spec"];
  return (type.endsWith(":Pod") ? spec : spec?.template?.spec) ?? {};
}

export function containersOf(pod: Props): Props[] {
  return [...(pod["containers"] ?? []), ...(pod["initContainers"] ?? [])];
}
