/** Yields a region's infrastructure, one document after another: objects of the cluster, images, stacks. */
import { documentText } from "../../domain/exact-json.ts";
import { ImageCollector } from "../../domain/infrastructure/image-references.ts";
import {
  type ClusterSettings,
  type InfrastructureSettings,
  imagesPath,
  objectPath,
  qualifiedKind,
  stackPath,
} from "../../domain/infrastructure/infrastructure.ts";
import { declaredAt, declaredPart, isDeclared } from "../../domain/infrastructure/kubernetes-object.ts";
import { DrError } from "../../errors.ts";
import type { Cluster, InfrastructureDocument, InfrastructureSource } from "../../ports/cluster.ts";
import type { StackExports } from "../../ports/stacks.ts";

export interface InfrastructureParts {
  readonly settings: InfrastructureSettings;
  /** Opened when it is needed; absent only when the settings name no cluster. */
  readonly cluster: () => Promise<Cluster>;
  readonly stacks: () => Promise<StackExports>;
}

export function infrastructureSource(parts: InfrastructureParts): InfrastructureSource {
  return { documents: () => documentsOf(parts) };
}

async function* documentsOf({
  cluster,
  settings,
  stacks,
}: InfrastructureParts): AsyncGenerator<InfrastructureDocument, void> {
  if (settings.kubernetes !== undefined) yield* clusterDocuments(await cluster(), settings.kubernetes);
  for (const stack of settings.stacks) {
    const { changedAt, state } = await (await stacks()).exportState(stack);
    yield { path: stackPath(stack), bytes: Buffer.from(state), changedAt };
  }
}

async function* clusterDocuments(
  cluster: Cluster,
  settings: ClusterSettings,
): AsyncGenerator<InfrastructureDocument, void> {
  await refuseUnknown(cluster, settings);
  const images = new ImageCollector();
  let newest = new Date(0);
  for (const kind of settings.kinds) {
    const wanted = qualifiedKind(kind) === "Namespace" ? new Set(settings.namespaces) : undefined;
    for await (const object of cluster.objects(kind, settings.namespaces, settings.selector)) {
      if (!isDeclared(object) || wanted?.has(object.metadata.name) === false) continue;
      images.addWorkload(object);
      const changedAt = declaredAt(object);
      if (changedAt > newest) newest = changedAt;
      yield { path: objectPath(object), bytes: Buffer.from(documentText(declaredPart(object))), changedAt };
    }
  }
  // Without the selector: labels of a workload need not be on its pods.
  for await (const pod of cluster.objects({ apiVersion: "v1", kind: "Pod" }, settings.namespaces)) {
    images.addPod(pod);
    const startedAt = declaredAt(pod);
    if (startedAt > newest) newest = startedAt;
  }
  yield { path: imagesPath, bytes: Buffer.from(documentText(images.references())), changedAt: newest };
}

/** A slip in a name must not look like an empty list: a namespace that is not there lists nothing, and no error. */
async function refuseUnknown(cluster: Cluster, { kinds, namespaces }: ClusterSettings): Promise<void> {
  for (const namespace of namespaces) {
    if (await cluster.hasNamespace(namespace)) continue;
    throw new DrError("SETTING_INVALID", `infrastructure.kubernetes.namespaces: ${cluster.name} has no ${namespace}`, {
      hint: "correct the name, or take it out of the settings",
    });
  }
  for (const kind of kinds) {
    if (await cluster.serves(kind)) continue;
    const { apiVersion, kind: name } = kind;
    throw new DrError(
      "SETTING_INVALID",
      `infrastructure.kubernetes.kinds: ${cluster.name} has no ${apiVersion} ${name}`,
      {
        hint: "`kubectl api-resources` lists what it has",
      },
    );
  }
}
