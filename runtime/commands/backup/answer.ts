import { z } from "zod";
import { captureTypes } from "../../domain/points/recovery-point.ts";
import type { CaptureReport } from "../../workflows/capture/capture-point.ts";
import type { CapturePreview } from "../../workflows/capture/preview-capture.ts";
import { bytes, count, kind, listOf, recoveryPointId, seconds, time } from "../shared/fields.ts";

const captured = z.strictObject({
  recoveryPoint: recoveryPointId.describe("the recovery point that was committed, or that other workers go on with"),
  type: z.enum(captureTypes),
  time: time.describe("every write acknowledged before this is in it"),
  collections: count.describe("number of collections"),
  folders: count.describe("number of folders"),
  points: count.describe("number of Qdrant points; 0 until it is committed"),
  isExact: z.boolean().describe("false: deletes since an optimization began may be undone in it, or a file changed"),
  readBytes: bytes.describe("bytes that this worker read"),
  storedBytes: bytes.describe("bytes that this worker stored"),
  seconds,
  isCommitted: z.boolean().describe("false: other workers have not done their parts; the last of them commits"),
  isUnchanged: z
    .literal(true)
    .optional()
    .describe("nothing changed since the last recovery point, which stays the newest"),
});

const planned = z.strictObject({
  base: recoveryPointId.optional().describe("the recovery point that would be built on; absent when there is none"),
  shards: listOf(
    z.strictObject({
      collection: z.string(),
      shard: count,
      peer: z.number().describe("id of the peer whose replica would be read"),
      reads: z.enum(["everything", "what changed", "nothing"]),
      because: z.string().optional().describe("why everything would be read"),
      lastStoredBytes: bytes.optional().describe("size of the shard's packs at its last capture"),
    }),
  ),
  folders: listOf(z.strictObject({ kind, name: z.string() })),
});

export const backupAnswer = z.union([captured, planned.describe("with --dry-run")]);
export type BackupAnswer = z.infer<typeof backupAnswer>;

export function reportAsJson({ point, ...report }: CaptureReport): z.infer<typeof captured> {
  return { ...report, recoveryPoint: point };
}

export function previewAsJson(preview: CapturePreview): z.infer<typeof planned> {
  return preview;
}
