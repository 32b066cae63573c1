/** Proves that a recovery point can be read from this region's own bucket: every chunk fetched, opened and compared with its name. */
import { filesOf, folderTreeSchema } from "../domain/recovery-points/folder-tree.ts";
import type { Attestation, RecoveryPoint } from "../domain/recovery-points/recovery-point.ts";
import { shardTreeSchema } from "../domain/recovery-points/shard-tree.ts";
import type { StoredContent } from "../domain/recovery-points/stored-content.ts";
import { type DrError, hasCode } from "../errors.ts";
import type { Clock, Progress } from "../ports.ts";
import { attest } from "../repository/catalog/attest.ts";
import { readFiles } from "../repository/content/file-reader.ts";
import type { OpenRepository } from "../repository/repository.ts";

export interface VerifyReport {
  readonly point: string;
  readonly files: number;
  readonly bytes: number;
  readonly seconds: number;
}

/**
 * Leaves an attestation of what it found. Throws OBJECT_CORRUPT or OBJECT_NOT_FOUND at the first piece that is not right,
 * also when it is read a second time; the point is then quarantined in this bucket, and no longer restored from it.
 */
export async function verifyPoint(
  repository: OpenRepository,
  point: RecoveryPoint,
  { clock, progress, region }: { readonly clock: Clock; readonly progress: Progress; readonly region: string },
): Promise<VerifyReport> {
  const begun = clock.now();
  const found = (kind: Attestation["kind"], detail: string) =>
    attest(repository, kind, point, { at: clock.now(), region, detail });
  try {
    const { bytes, files } = await readWhole(repository, point, progress).catch((error: unknown) => {
      if (!isDamage(error)) throw error;
      // What was damaged on its way only must not cost the point: a quarantine is for good.
      progress({ step: "verify", detail: `again, because ${error.message}` });
      return readWhole(repository, point, progress);
    });
    await found("verified", `${files} files, ${bytes} bytes read and opened`);
    return { point: point.id, files, bytes, seconds: (clock.now().getTime() - begun.getTime()) / 1000 };
  } catch (error) {
    if (isDamage(error)) await found("quarantined", error.message);
    throw error;
  }
}

function isDamage(error: unknown): error is DrError {
  return hasCode(error, "OBJECT_CORRUPT", "OBJECT_NOT_FOUND");
}

async function readWhole(repository: OpenRepository, point: RecoveryPoint, progress: Progress) {
  let files = 0;
  let bytes = 0;
  const read = async (contents: readonly StoredContent[]) => {
    for await (const { content } of readFiles(repository, contents)) {
      files += 1;
      for await (const chunk of content) bytes += chunk.length;
    }
  };
  for (const { name, shards } of point.collections) {
    progress({ step: "verify", detail: name });
    for (const { tree } of shards) await read((await repository.readTree(tree.id, shardTreeSchema)).files);
  }
  for (const { kind, name, tree } of point.folders) {
    progress({ step: "verify", detail: `${kind} ${name}` });
    await read(filesOf(await repository.readTree(tree.id, folderTreeSchema)));
  }
  return { bytes, files };
}
