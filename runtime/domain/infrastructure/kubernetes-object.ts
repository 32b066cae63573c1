/**
 * Which objects of a cluster are captured, and what of them: what somebody declared. What the server and its controllers
 * fill in belongs to one cluster, and is filled in again by the next.
 */
import { isRecord } from "../exact-json.ts";
import { type ObjectKind, qualifiedKind } from "./infrastructure.ts";

export interface KubernetesObject extends ObjectKind {
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly ownerReferences?: readonly {
      readonly kind: string;
      readonly name: string;
      readonly controller?: boolean;
    }[];
    readonly [member: string]: unknown;
  };
  readonly [member: string]: unknown;
}

/** A list that may be empty, and members that a walk goes down to: `spec.claimRef.uid`. */
type FieldPath = readonly string[];

const everywhere: readonly FieldPath[] = [
  ["status"],
  ...["managedFields", "resourceVersion", "uid", "creationTimestamp", "generation", "selfLink", "ownerReferences"].map(
    (name) => ["metadata", name],
  ),
  ...[
    // Repeats the whole object, as it was when kubectl wrote it.
    "kubectl.kubernetes.io/last-applied-configuration",
    "deployment.kubernetes.io/revision",
    "kubernetes.io/service-account.uid",
    "pv.kubernetes.io/bind-completed",
    "pv.kubernetes.io/bound-by-controller",
    "volume.kubernetes.io/selected-node",
    "volume.kubernetes.io/storage-provisioner",
    "volume.beta.kubernetes.io/storage-provisioner",
  ].map((name) => ["metadata", "annotations", name]),
];

const jobLabels = ["controller-uid", "job-name", "batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name"];

/** Fields of single kinds that another cluster must choose by itself. */
const ofKind: Readonly<Record<string, (object: KubernetesObject) => readonly FieldPath[]>> = {
  Namespace: () => [["spec", "finalizers"]],
  // A Service without an address says so with "None", and that is declared.
  Service: (object) =>
    member(object, ["spec", "clusterIP"]) === "None"
      ? []
      : [
          ["spec", "clusterIP"],
          ["spec", "clusterIPs"],
          ["spec", "healthCheckNodePort"],
        ],
  // Bound by the controller: the volume's name is made up. Bound by a person: it is declared.
  PersistentVolumeClaim: ({ metadata }) =>
    metadata.annotations?.["pv.kubernetes.io/bound-by-controller"] === "yes" ? [["spec", "volumeName"]] : [],
  PersistentVolume: () => [
    ["spec", "claimRef", "uid"],
    ["spec", "claimRef", "resourceVersion"],
  ],
  "Job.batch": (object) =>
    member(object, ["spec", "manualSelector"]) === true
      ? []
      : [["spec", "selector"], ...jobLabels.map((label) => ["spec", "template", "metadata", "labels", label])],
  // Its rules are put together by the server.
  "ClusterRole.rbac.authorization.k8s.io": (object) => (isRecord(object["aggregationRule"]) ? [["rules"]] : []),
  // Its token is signed by one cluster, which makes it.
  Secret: (object) => (object["type"] === "kubernetes.io/service-account-token" ? [["data"]] : []),
  Pod: () => [["spec", "nodeName"]],
};

/**
 * False for what a cluster makes by itself: what a controller owns, what is about to go, and what every server and
 * namespace begins with.
 */
export function isDeclared(object: KubernetesObject): boolean {
  const { annotations = {}, deletionTimestamp, labels = {}, name, namespace, ownerReferences = [] } = object.metadata;
  if (ownerReferences.some(({ controller }) => controller === true)) return false;
  if (deletionTimestamp !== undefined) return false;
  if (labels["kubernetes.io/bootstrapping"] !== undefined) return false;
  if (labels["kube-aggregator.kubernetes.io/automanaged"] !== undefined) return false;
  if (annotations["apf.kubernetes.io/autoupdate-spec"] === "true") return false;
  const kind = qualifiedKind(object);
  if (kind === "ConfigMap" && name === "kube-root-ca.crt") return false;
  if (kind === "Service" && namespace === "default" && name === "kubernetes") return false;
  return !(kind === "PriorityClass.scheduling.k8s.io" && name.startsWith("system-"));
}

/** The object without what the server owns. */
export function declaredPart(object: KubernetesObject): KubernetesObject {
  const paths = [...everywhere, ...(ofKind[qualifiedKind(object)]?.(object) ?? [])];
  return paths.reduce<unknown>((left, path) => without(left, path), object) as KubernetesObject;
}

/** When somebody last changed the object; what only its status tells does not count. */
export function declaredAt({ metadata }: KubernetesObject): Date {
  const { creationTimestamp, managedFields } = metadata;
  const changes = Array.isArray(managedFields)
    ? managedFields.filter((change) => member(change, ["subresource"]) === undefined)
    : [];
  const times = [creationTimestamp, ...changes.map((change) => member(change, ["time"]))];
  return new Date(Math.max(0, ...times.map((time) => Date.parse(String(time))).filter((time) => !Number.isNaN(time))));
}

/** "Deployment shop/web" */
export function titleOf({ kind, metadata }: KubernetesObject): string {
  return `${kind} ${metadata.namespace === undefined ? "" : `${metadata.namespace}/`}${metadata.name}`;
}

export function member(value: unknown, path: FieldPath): unknown {
  return path.reduce<unknown>((inner, name) => (isRecord(inner) ? inner[name] : undefined), value);
}

/** A map that is empty afterwards goes too: a server leaves it out as well. */
function without(value: unknown, [name = "", ...rest]: FieldPath): unknown {
  if (!isRecord(value) || !(name in value)) return value;
  const { [name]: inner, ...others } = value;
  if (rest.length === 0) return others;
  const left = without(inner, rest);
  return isRecord(left) && Object.keys(left).length === 0 && left !== inner ? others : { ...value, [name]: left };
}
