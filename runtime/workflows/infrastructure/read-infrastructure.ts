/** The infrastructure that a recovery point holds, read back from its documents. */
import { parseExactly } from "../../domain/exact-json.ts";
import { isObjectPath, stackOf } from "../../domain/infrastructure/infrastructure.ts";
import type { KubernetesObject } from "../../domain/infrastructure/kubernetes-object.ts";
import { filesOf, folderTreeSchema } from "../../domain/recovery-points/folder-tree.ts";
import type { RecoveryPoint } from "../../domain/recovery-points/recovery-point.ts";
import { DrError } from "../../errors.ts";
import { readFiles } from "../../repository/content/file-reader.ts";
import type { OpenRepository } from "../../repository/repository.ts";

export interface Infrastructure {
  readonly objects: readonly KubernetesObject[];
  /** Names of the stacks whose state is in the recovery point. */
  readonly stacks: readonly string[];
}

export async function readInfrastructure(
  repository: OpenRepository,
  recoveryPoint: RecoveryPoint,
): Promise<Infrastructure> {
  const captured = recoveryPoint.folders.filter(({ kind }) => kind === "infrastructure");
  if (captured.length === 0) {
    throw new DrError("USAGE", `${recoveryPoint.id} holds no infrastructure`, {
      hint: "`qdrant-dr recovery-points list` shows what each recovery point holds",
    });
  }
  const objects: KubernetesObject[] = [];
  const stacks: string[] = [];
  for (const { tree } of captured) {
    const files = filesOf(await repository.readTree(tree.id, folderTreeSchema));
    stacks.push(...files.flatMap(({ path }) => stackOf(path) ?? []));
    const documents = files.filter(({ path }) => isObjectPath(path));
    for await (const { content, file } of readFiles(repository, documents)) {
      const chunks: Buffer[] = [];
      for await (const chunk of content) chunks.push(Buffer.from(chunk));
      objects.push(objectIn(file.path, Buffer.concat(chunks)));
    }
  }
  return { objects, stacks };
}

function objectIn(path: string, bytes: Buffer): KubernetesObject {
  try {
    return parseExactly(bytes.toString()) as KubernetesObject;
  } catch (cause) {
    throw new DrError("OBJECT_CORRUPT", `${path} is not the document that was captured`, { cause });
  }
}
