import { z } from "zod";
import { healAnswer } from "../heal/answer.ts";
import { restoreAnswer } from "../restore/answer.ts";
import { bytes, count, kind, listOf, missingPart, recoveryPointId, seconds, time } from "../shared/fields.ts";

const read = z.strictObject({
  recoveryPoint: recoveryPointId.describe("the first of them: the one with Qdrant's data"),
  recoveryPoints: listOf(
    z.strictObject({
      recoveryPoint: recoveryPointId,
      kinds: listOf(kind),
      collections: count.describe("number of collections"),
      folders: count.describe("number of folders"),
      files: count,
      bytes,
      seconds,
    }),
  ).describe(
    "each that was looked at: the newest with Qdrant's data, and the newest of each kind that is captured apart",
  ),
  tier: z.enum(["manifest", "chunks"]).describe("how deep: with `manifest` no file is read, and files and bytes are 0"),
  files: count.describe("files of shards and folders"),
  bytes: bytes.describe("bytes read and compared"),
  missing: listOf(missingPart).describe("what the recovery point lacks, because its capture could not read it"),
  seconds,
  share: z
    .strictObject({
      objects: count.describe("packs, trees, facts and manifests that were read whole"),
      bytes: bytes.describe("of these"),
      recoveryPoints: count.describe("recovery points of which all that they name was looked for"),
      share: z.number().describe("share of all bytes of the repository that were read within 30 days, 0 to 1"),
      readSince: time.describe("what was stored before this was read since"),
      damaged: count.describe("objects that are known to be damaged, and not healed"),
    })
    .optional()
    .describe(
      "what was read of the whole repository because its turn had come; absent when a recovery point was named",
    ),
  healed: healAnswer.optional().describe("with --heal, when something was damaged"),
});

export const verifyAnswer = z.union([read, restoreAnswer.describe("with --tier restore: as `restore --test` answers")]);
export type VerifyAnswer = z.infer<typeof verifyAnswer>;
export type ReadAnswer = z.infer<typeof read>;
