import { z } from "zod";
import { captureTypes } from "../../domain/recovery-points/recovery-point.ts";
import type { CaptureReport } from "../../workflows/capture/capture-report.ts";
import { bytes, count, kind, listOf, missingPart, recoveryPointId, seconds, time } from "../shared/fields.ts";

const captured = z.strictObject({
  recoveryPoint: recoveryPointId.describe("the recovery point that was committed, or that other workers go on with"),
  type: z.enum(captureTypes),
  time: time.describe("every write acknowledged before this is in it"),
  collections: count.describe("number of collections"),
  folders: count.describe("number of folders"),
  points: count.describe("number of Qdrant points; 0 until it is committed"),
  isExact: z
    .boolean()
    .describe(
      "false: deletes since an optimization began may be undone in it, a file changed, or something is missing",
    ),
  missing: listOf(missingPart).describe("what could not be read; the rest was captured, and the exit code is 15"),
  excluded: listOf(z.string()).describe("collections that were left out on purpose"),
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
  region: z.string().describe("the active region, which would be captured"),
  epoch: count,
  qdrantVersion: z.string().optional().describe("absent when nothing of Qdrant would be captured"),
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
  carried: listOf(z.string()).describe("collections that would not be read and stay as in the base"),
  missing: listOf(missingPart).describe("what could not be read; the rest would be captured"),
  excluded: listOf(z.string()).describe("collections that would be left out on purpose"),
  folders: listOf(z.strictObject({ kind, name: z.string() })),
  movements: listOf(z.string()).describe(
    "shards that move: a capture waits for that, and is refused when it takes long",
  ),
});

export const backupAnswer = z.union([captured, planned.describe("with --dry-run")]);
export type BackupAnswer = z.infer<typeof backupAnswer>;

export function reportAsJson({ recoveryPoint, ...report }: CaptureReport): z.infer<typeof captured> {
  return { ...report, recoveryPoint };
}
