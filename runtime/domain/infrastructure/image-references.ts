/** Which images run in a cluster: by which digest, and for whom. A tag may lead elsewhere later; a digest does not. */
import { isRecord } from "../exact-json.ts";
import { type KubernetesObject, member, titleOf } from "./kubernetes-object.ts";

export interface ImageReference {
  /** The image as the workload names it. */
  readonly image: string;
  /** Digests that ran under this name: several when the tag was moved meanwhile, none when no pod has run it. */
  readonly digests: readonly string[];
  /** "Deployment shop/web" */
  readonly usedBy: readonly string[];
}

const podSpecs = [
  ["spec", "template", "spec"],
  ["spec", "jobTemplate", "spec", "template", "spec"],
] as const;
const containerLists = ["containers", "initContainers", "ephemeralContainers"] as const;

/** Collects from pods and workloads as they are listed, keeping names only. */
export class ImageCollector {
  readonly #images = new Map<string, { digests: Set<string>; usedBy: Set<string> }>();

  addWorkload(object: KubernetesObject): void {
    for (const path of podSpecs) {
      for (const { image } of containersOf(member(object, path))) this.#add(image, titleOf(object));
    }
  }

  addPod(pod: KubernetesObject): void {
    const user = userOf(pod);
    for (const { image, name } of containersOf(pod["spec"])) this.#add(image, user, digestIn(pod, name));
  }

  references(): ImageReference[] {
    return [...this.#images]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([image, { digests, usedBy }]) => ({ image, digests: [...digests].sort(), usedBy: [...usedBy].sort() }));
  }

  #add(image: string, user: string, digest = digestOf(image)): void {
    const entry = this.#images.get(image) ?? { digests: new Set(), usedBy: new Set() };
    this.#images.set(image, entry);
    entry.usedBy.add(user);
    if (digest !== undefined) entry.digests.add(digest);
  }
}

function containersOf(podSpec: unknown): { name: string; image: string }[] {
  return containerLists.flatMap((list) => {
    const containers = member(podSpec, [list]);
    if (!Array.isArray(containers)) return [];
    return containers.flatMap((container) =>
      isRecord(container) && typeof container["image"] === "string"
        ? [{ name: String(container["name"]), image: container["image"] }]
        : [],
    );
  });
}

/** The runtime writes names its own way in the status, so a container is found by its name. */
function digestIn(pod: KubernetesObject, container: string): string | undefined {
  for (const list of ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"]) {
    const statuses = member(pod, ["status", list]);
    const status = Array.isArray(statuses) ? statuses.find((one) => member(one, ["name"]) === container) : undefined;
    const id = member(status, ["imageID"]);
    if (typeof id === "string") return digestOf(id);
  }
  return undefined;
}

/** An id without a repository is that of a local image, and cannot be pulled. */
function digestOf(reference: string): string | undefined {
  return /@(sha256:[0-9a-f]{64})$/.exec(reference)?.[1];
}

/** The workload that declares the pod: a ReplicaSet with a hash in its name belongs to a Deployment. */
function userOf(pod: KubernetesObject): string {
  const { labels = {}, namespace = "", ownerReferences = [] } = pod.metadata;
  const owner = ownerReferences.find(({ controller }) => controller === true);
  if (owner === undefined) return titleOf(pod);
  const ending = `-${labels["pod-template-hash"]}`;
  return owner.kind === "ReplicaSet" && owner.name.endsWith(ending)
    ? `Deployment ${namespace}/${owner.name.slice(0, -ending.length)}`
    : `${owner.kind} ${namespace}/${owner.name}`;
}
