/**
 * By which name the API has objects of a kind, and whether they belong to a namespace. Access is given by it, before any cluster can be
 * asked. Kinds of Kubernetes itself are known; of others, settings say it.
 */
import { type CapturedKind, groupOf, qualifiedKind, type ResourceScope } from "./infrastructure.ts";

export interface ApiResource {
  /** As in the API's paths, such as `deployments`. */
  readonly resource: string;
  readonly scope: ResourceScope;
}

/** As Kubernetes 1.36 serves them; older versions have some of them. */
const builtInKinds: Readonly<Record<ResourceScope, Readonly<Record<string, string>>>> = {
  Namespaced: {
    "CSIStorageCapacity.storage.k8s.io": "csistoragecapacities",
    ConfigMap: "configmaps",
    "ControllerRevision.apps": "controllerrevisions",
    "CronJob.batch": "cronjobs",
    "DaemonSet.apps": "daemonsets",
    "Deployment.apps": "deployments",
    "EndpointSlice.discovery.k8s.io": "endpointslices",
    Endpoints: "endpoints",
    Event: "events",
    "Event.events.k8s.io": "events",
    "HorizontalPodAutoscaler.autoscaling": "horizontalpodautoscalers",
    "Ingress.networking.k8s.io": "ingresses",
    "Job.batch": "jobs",
    "Lease.coordination.k8s.io": "leases",
    LimitRange: "limitranges",
    "NetworkPolicy.networking.k8s.io": "networkpolicies",
    PersistentVolumeClaim: "persistentvolumeclaims",
    Pod: "pods",
    "PodDisruptionBudget.policy": "poddisruptionbudgets",
    PodTemplate: "podtemplates",
    "ReplicaSet.apps": "replicasets",
    ReplicationController: "replicationcontrollers",
    "ResourceClaim.resource.k8s.io": "resourceclaims",
    "ResourceClaimTemplate.resource.k8s.io": "resourceclaimtemplates",
    ResourceQuota: "resourcequotas",
    "Role.rbac.authorization.k8s.io": "roles",
    "RoleBinding.rbac.authorization.k8s.io": "rolebindings",
    Secret: "secrets",
    Service: "services",
    ServiceAccount: "serviceaccounts",
    "StatefulSet.apps": "statefulsets",
  },
  Cluster: {
    "APIService.apiregistration.k8s.io": "apiservices",
    "CSIDriver.storage.k8s.io": "csidrivers",
    "CSINode.storage.k8s.io": "csinodes",
    "CertificateSigningRequest.certificates.k8s.io": "certificatesigningrequests",
    "ClusterRole.rbac.authorization.k8s.io": "clusterroles",
    "ClusterRoleBinding.rbac.authorization.k8s.io": "clusterrolebindings",
    ComponentStatus: "componentstatuses",
    "CustomResourceDefinition.apiextensions.k8s.io": "customresourcedefinitions",
    "DeviceClass.resource.k8s.io": "deviceclasses",
    "FlowSchema.flowcontrol.apiserver.k8s.io": "flowschemas",
    "IPAddress.networking.k8s.io": "ipaddresses",
    "IngressClass.networking.k8s.io": "ingressclasses",
    "MutatingAdmissionPolicy.admissionregistration.k8s.io": "mutatingadmissionpolicies",
    "MutatingAdmissionPolicyBinding.admissionregistration.k8s.io": "mutatingadmissionpolicybindings",
    "MutatingWebhookConfiguration.admissionregistration.k8s.io": "mutatingwebhookconfigurations",
    Namespace: "namespaces",
    Node: "nodes",
    PersistentVolume: "persistentvolumes",
    "PriorityClass.scheduling.k8s.io": "priorityclasses",
    "PriorityLevelConfiguration.flowcontrol.apiserver.k8s.io": "prioritylevelconfigurations",
    "ResourceSlice.resource.k8s.io": "resourceslices",
    "RuntimeClass.node.k8s.io": "runtimeclasses",
    "ServiceCIDR.networking.k8s.io": "servicecidrs",
    "StorageClass.storage.k8s.io": "storageclasses",
    "ValidatingAdmissionPolicy.admissionregistration.k8s.io": "validatingadmissionpolicies",
    "ValidatingAdmissionPolicyBinding.admissionregistration.k8s.io": "validatingadmissionpolicybindings",
    "ValidatingWebhookConfiguration.admissionregistration.k8s.io": "validatingwebhookconfigurations",
    "VolumeAttachment.storage.k8s.io": "volumeattachments",
    "VolumeAttributesClass.storage.k8s.io": "volumeattributesclasses",
  },
};

/**
 * Undefined when the kind is none of Kubernetes itself, and the settings do not say both; and when they give it what belongs to a kind of
 * Kubernetes, by which they would open another kind than the one that they name.
 */
export function apiResourceOf(kind: CapturedKind): ApiResource | undefined {
  const builtIn = builtInResource(qualifiedKind(kind));
  const { resource = builtIn?.resource, scope = builtIn?.scope } = kind;
  if (resource === undefined || scope === undefined) return undefined;
  if (builtIn === undefined) return isBuiltIn(groupOf(kind), resource) ? undefined : { resource, scope };
  return resource === builtIn.resource && scope === builtIn.scope ? builtIn : undefined;
}

/** Whether Kubernetes itself has a resource of this name in the group. */
function isBuiltIn(group: string, resource: string): boolean {
  return Object.values(builtInKinds)
    .flatMap((kinds) => Object.entries(kinds))
    .some(([qualified, name]) => name === resource && qualified.split(".").slice(1).join(".") === group);
}

function builtInResource(kind: string): ApiResource | undefined {
  for (const scope of ["Namespaced", "Cluster"] as const) {
    const resource = builtInKinds[scope][kind];
    if (resource !== undefined) return { resource, scope };
  }
  return undefined;
}
