/** A cluster's objects of any kind, through what its API says of itself. */

import { documentText, isRecord } from "../../domain/exact-json.ts";
import { type ClusterSettings, type ObjectKind, qualifiedKind } from "../../domain/infrastructure/infrastructure.ts";
import { type KubernetesObject, titleOf } from "../../domain/infrastructure/kubernetes-object.ts";
import { DrError } from "../../errors.ts";
import type { Clock } from "../../ports/clock.ts";
import type { ApplyOutcome, Cluster, FieldConflict } from "../../ports/cluster.ts";
import { systemClock } from "../../time/system-clock.ts";
import { type KubernetesAnswer, KubernetesRequests } from "./kubernetes-request.ts";

/** The field manager under which a restore applies fields. */
const fieldManager = "qdrant-dr";

/** An object may have over a megabyte, and a page is held whole. */
const pageSize = 100;

interface Resource {
  /** "/apis/apps/v1" */
  readonly root: string;
  readonly plural: string;
  readonly isNamespaced: boolean;
}

export class KubernetesCluster implements Cluster {
  readonly name: string;
  readonly #requests: KubernetesRequests;
  readonly #pageSize: number;
  readonly #resources = new Map<string, Resource>();

  private constructor(requests: KubernetesRequests, objectsInPage: number) {
    this.name = requests.cluster;
    this.#requests = requests;
    this.#pageSize = objectsInPage;
  }

  static async open(
    settings: Pick<ClusterSettings, "context" | "kubeconfig">,
    objectsInPage = pageSize,
    clock: Clock = systemClock,
  ): Promise<KubernetesCluster> {
    return new KubernetesCluster(await KubernetesRequests.open(settings, clock), objectsInPage);
  }

  async serves(kind: ObjectKind): Promise<boolean> {
    return (await this.#discover(kind)) !== undefined;
  }

  async hasNamespace(name: string): Promise<boolean> {
    const answer = await this.#requests.send(`/api/v1/namespaces/${name}`);
    if (answer.status === 404) return false;
    return read(answer, `namespace ${name}`) !== undefined;
  }

  async *objects(
    kind: ObjectKind,
    namespaces: readonly string[],
    selector?: string,
  ): AsyncGenerator<KubernetesObject, void> {
    const resource = await this.#resourceOf(kind);
    const folders = resource.isNamespaced ? namespaces.map((name) => `/namespaces/${name}`) : [""];
    for (const folder of folders) {
      yield* this.#list(kind, `${resource.root}${folder}/${resource.plural}`, selector);
    }
  }

  async object(like: KubernetesObject): Promise<KubernetesObject | undefined> {
    const answer = await this.#requests.send(await this.#pathOf(like));
    return answer.status === 404 ? undefined : (read(answer, titleOf(like)) as KubernetesObject);
  }

  async apply(
    object: KubernetesObject,
    { force, isRehearsal }: { readonly force: boolean; readonly isRehearsal: boolean },
  ): Promise<ApplyOutcome> {
    const answer = await this.#requests.send(await this.#pathOf(object), {
      apply: Buffer.from(documentText(object)),
      query: { fieldManager, force: String(force), ...(isRehearsal ? { dryRun: "All" } : {}) },
    });
    if (answer.status === 409) {
      const conflicts = conflictsIn(answer.body);
      if (conflicts.length > 0) return { outcome: "conflict", conflicts };
    }
    // The object is about to be deleted, or does not validate; a missing namespace is a 404.
    if ([400, 404, 409, 422].includes(answer.status)) return { outcome: "refused", reason: messageOf(answer) };
    return { outcome: "applied", object: read(answer, titleOf(object)) as KubernetesObject };
  }

  async *#list(kind: ObjectKind, path: string, selector: string | undefined): AsyncGenerator<KubernetesObject, void> {
    const query = { limit: String(this.#pageSize), ...(selector === undefined ? {} : { labelSelector: selector }) };
    let next = "";
    let version: unknown;
    let remaining: number | undefined;
    do {
      const answer = await this.#requests.send(path, { query: next === "" ? query : { ...query, continue: next } });
      if (answer.status === 410) throw endedShort(kind, "it took longer than the cluster keeps a list's state");
      if (answer.status === 404) throw endedShort(kind, "the cluster stopped serving this kind");
      const page = pageOf(read(answer, qualifiedKind(kind), "list"));
      if (page === undefined) throw endedShort(kind, "a page is no list");
      // All pages are of one state: what comes between two states could be missed in both.
      version ??= page.version;
      if (page.version !== version) throw endedShort(kind, "its pages are of different states");
      const left = page.remaining ?? (page.next === "" ? 0 : undefined);
      if (remaining !== undefined && left !== undefined && page.items.length + left < remaining) {
        throw endedShort(kind, `${remaining} objects were left, and ${page.items.length + left} came`);
      }
      if (page.next === "" && left !== 0) throw endedShort(kind, `${left} objects are left`);
      remaining = left;
      next = page.next;
      for (const item of page.items) yield { ...item, apiVersion: kind.apiVersion, kind: kind.kind };
    } while (next !== "");
  }

  async #pathOf(object: KubernetesObject): Promise<string> {
    const { root, plural, isNamespaced } = await this.#resourceOf(object);
    const { name, namespace } = object.metadata;
    if (isNamespaced !== (namespace !== undefined)) {
      throw new DrError(
        "KUBERNETES_REFUSED",
        `${titleOf(object)}: ${object.kind} ${isNamespaced ? "belongs to a namespace" : "belongs to no namespace"} in ${this.name}`,
        { hint: "the cluster has another kind of this name; restore to files with --into instead" },
      );
    }
    const folder = namespace === undefined ? "" : `/namespaces/${encodeURIComponent(namespace)}`;
    return `${root}${folder}/${plural}/${encodeURIComponent(name)}`;
  }

  async #resourceOf(kind: ObjectKind): Promise<Resource> {
    const resource = await this.#discover(kind);
    if (resource !== undefined) return resource;
    throw new DrError("KUBERNETES_REFUSED", `${this.name} has no kind ${kind.kind} in ${kind.apiVersion}`, {
      hint: "`kubectl api-resources` lists what it has",
    });
  }

  /** Remembers kinds that it found; a kind that is not there may come later with a custom resource definition. */
  async #discover(kind: ObjectKind): Promise<Resource | undefined> {
    const id = `${kind.apiVersion} ${kind.kind}`;
    const known = this.#resources.get(id);
    if (known !== undefined) return known;
    const root = kind.apiVersion.includes("/") ? `/apis/${kind.apiVersion}` : `/api/${kind.apiVersion}`;
    const answer = await this.#requests.send(root);
    if (answer.status === 404) return undefined;
    const { resources } = read(answer, kind.apiVersion) as { resources?: unknown };
    if (!Array.isArray(resources))
      throw new DrError("KUBERNETES_REFUSED", `${this.name} does not list its kinds of objects`);
    // "deployments/status" has the kind too.
    const found = resources.find(
      (one) => isRecord(one) && one["kind"] === kind.kind && !String(one["name"]).includes("/"),
    );
    if (found === undefined) return undefined;
    const resource = { root, plural: String(found["name"]), isNamespaced: found["namespaced"] === true };
    this.#resources.set(id, resource);
    return resource;
  }
}

function read(answer: KubernetesAnswer, what: string, verb = "get"): Readonly<Record<string, unknown>> {
  const { body, status } = answer;
  if (status === 403) {
    throw new DrError("ACCESS_DENIED", `may not ${verb} ${what}: ${messageOf(answer)}`, {
      hint: "give the account a role with this right (for restores also patch and create), or leave the kind out of infrastructure.kubernetes.kinds",
    });
  }
  if (status >= 200 && status < 300 && isRecord(body)) return body;
  throw new DrError("KUBERNETES_REFUSED", `${what}: the cluster answers ${status}: ${messageOf(answer)}`, {
    hint: "see what the cluster says; then run it again",
  });
}

function messageOf({ body, status }: KubernetesAnswer): string {
  const message = isRecord(body) ? body["message"] : body;
  return typeof message === "string" && message !== "" ? message.slice(0, 600) : `status ${status}`;
}

interface Page {
  readonly items: readonly KubernetesObject[];
  readonly version: unknown;
  readonly next: string;
  /** How many objects come after this page, when the server says it. */
  readonly remaining: number | undefined;
}

function pageOf(body: Readonly<Record<string, unknown>>): Page | undefined {
  const { items, kind, metadata } = body;
  if (typeof kind !== "string" || !kind.endsWith("List") || !isRecord(metadata)) return undefined;
  // An empty list is null in some servers; a list without the member is cut.
  if (!("items" in body) || (items !== null && !Array.isArray(items))) return undefined;
  const all = items ?? [];
  if (
    !all.every((item) => isRecord(item) && isRecord(item["metadata"]) && typeof item["metadata"]["name"] === "string")
  ) {
    return undefined;
  }
  const { continue: next = "", remainingItemCount, resourceVersion } = metadata;
  const remaining = remainingItemCount === undefined ? undefined : Number(remainingItemCount);
  return { items: all, version: resourceVersion, next: String(next), remaining };
}

function endedShort(kind: ObjectKind, reason: string): DrError {
  return new DrError("CAPTURE_INCOMPLETE", `the list of ${qualifiedKind(kind)} is not whole: ${reason}`, {
    hint: "run it again",
  });
}

function conflictsIn(body: unknown): FieldConflict[] {
  const details = isRecord(body) ? body["details"] : undefined;
  const causes = isRecord(details) && Array.isArray(details["causes"]) ? details["causes"] : [];
  return causes.flatMap((cause) =>
    isRecord(cause) && cause["reason"] === "FieldManagerConflict"
      ? [
          {
            field: String(cause["field"]),
            owner: /"(.*)"/.exec(String(cause["message"]))?.[1] ?? String(cause["message"]),
          },
        ]
      : [],
  );
}
