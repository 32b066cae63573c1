/** In which order objects are applied: what others need comes first, and what guards comes before what it guards. */
import { type ObjectKind, qualifiedKind } from "./infrastructure.ts";

const steps: readonly (readonly string[])[] = [
  ["Namespace"],
  ["CustomResourceDefinition.apiextensions.k8s.io"],
  [
    "PriorityClass.scheduling.k8s.io",
    "RuntimeClass.node.k8s.io",
    "StorageClass.storage.k8s.io",
    "IngressClass.networking.k8s.io",
  ],
  [
    "ServiceAccount",
    "Role.rbac.authorization.k8s.io",
    "ClusterRole.rbac.authorization.k8s.io",
    "RoleBinding.rbac.authorization.k8s.io",
    "ClusterRoleBinding.rbac.authorization.k8s.io",
  ],
  ["ConfigMap", "Secret"],
  ["PersistentVolume", "PersistentVolumeClaim"],
  ["NetworkPolicy.networking.k8s.io", "Service"],
  [
    "Deployment.apps",
    "StatefulSet.apps",
    "DaemonSet.apps",
    "ReplicaSet.apps",
    "Pod",
    "ReplicationController",
    "Job.batch",
    "CronJob.batch",
  ],
];

/** They would judge objects before what answers them runs. */
const last = [
  "MutatingWebhookConfiguration.admissionregistration.k8s.io",
  "ValidatingWebhookConfiguration.admissionregistration.k8s.io",
];

export function applyStep(object: ObjectKind): number {
  const kind = qualifiedKind(object);
  if (last.includes(kind)) return steps.length + 1;
  const step = steps.findIndex((kinds) => kinds.includes(kind));
  return step === -1 ? steps.length : step;
}
