/** Proves that a recovery point can be read from this region's own bucket: every chunk fetched, opened and compared with its name. */
import { newId } from "../domain/identifier.ts";
import type { Attestation, RecoveryPoint } from "../domain/recovery-point.ts";
import { storeLayout } from "../domain/store-layout.ts";
import type { Clock, Progress } from "../ports.ts";
import { readFiles } from "../repository/file-reader.ts";
import type { OpenRepository } from "../repository/repository.ts";

export interface VerifyReport {
  readonly point: string;
  readonly files: number;
  readonly bytes: number;
  readonly seconds: number;
}

/** Throws OBJECT_CORRUPT or OBJECT_NOT_FOUND at the first piece that is not right; otherwise leaves an attestation. */
export async function verifyPoint(
  repository: OpenRepository,
  point: RecoveryPoint,
  { clock, progress, region }: { readonly clock: Clock; readonly progress: Progress; readonly region: string },
): Promise<VerifyReport> {
  const begun = clock.now();
  let files = 0;
  let bytes = 0;
  for (const { name, shards } of point.collections) {
    progress({ step: "verify", detail: name });
    for (const { tree } of shards) {
      for await (const { content } of readFiles(repository, (await repository.readTree(tree.id)).files)) {
        files += 1;
        for await (const chunk of content) bytes += chunk.length;
      }
    }
  }
  const now = clock.now();
  const detail = `${files} files, ${bytes} bytes read and opened`;
  const attestation: Attestation = { point: point.id, kind: "verified", at: now.toISOString(), region, detail };
  const key = storeLayout.attestation(point.id, attestation.kind, newId(now));
  await repository.stores.repository.create(key, Buffer.from(JSON.stringify(attestation)));
  return { point: point.id, files, bytes, seconds: (now.getTime() - begun.getTime()) / 1000 };
}
