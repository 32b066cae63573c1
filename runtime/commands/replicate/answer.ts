import { z } from "zod";
import type { ReplicationReport } from "../../workflows/replicate/replicate-region.ts";
import type { StateReport } from "../../workflows/replicate/source-capturer.ts";
import { bytes, count, listOf, missingPart, recoveryPointId, seconds, time } from "../shared/fields.ts";

const state = z.strictObject({
  recoveryPoint: recoveryPointId.describe("the recovery point that holds the state"),
  asOf: time.describe("every write acknowledged before this is in it"),
  isExact: z.boolean().describe("false: an optimization ran, deletes since it began may be undone; or a file changed"),
  missing: listOf(missingPart).describe("what the capture could not read: the standby holds it as it was before"),
  isChanged: z.boolean().describe("false: the recovery point is that of the capture before"),
  readBytes: bytes.describe("bytes read from the source"),
  storedBytes: bytes.describe("bytes stored in the standby's bucket"),
  captureSeconds: seconds,
});

const applied = {
  sentBytes: bytes.describe("bytes sent to the standby's Qdrant"),
  applySeconds: seconds,
  lagSeconds: seconds.describe("from `asOf` until the standby was compared"),
  shards: z.strictObject({
    kept: count.describe("shards that held the state already"),
    difference: count.describe("shards that were brought to it by a difference"),
    whole: count.describe("shards that were restored whole"),
  }),
};

/** Without any field: stopped before the first cycle ended. */
export const replicateAnswer = z
  .strictObject({
    ...state.shape,
    ...applied,
    journal: z
      .strictObject({
        recoveryPoint: recoveryPointId.describe("what the standby began from"),
        position: count.describe("number of the newest object of the journal that is applied"),
        asOf: time.describe("every write acknowledged before this is applied"),
        lagSeconds: seconds.optional().describe("how old the oldest write was when it was applied; absent: none came"),
        entries: count.describe("what the journal told meanwhile"),
        unreconciled: listOf(z.string()).describe(
          "collections that are older than the rest, until a capture brings them",
        ),
      })
      .describe("with --journal: how far the journal is followed"),
    folders: state.describe("with --only config or user-data: the folders' state"),
  })
  .partial()
  .describe("the last cycle; the fields of `applied` states are absent where another process applies");
export type ReplicateAnswer = z.infer<typeof replicateAnswer>;

export function asJson(reports: readonly ReplicationReport[]): ReplicateAnswer {
  return Object.assign({}, ...reports.map(partOf));
}

function partOf(found: ReplicationReport): ReplicateAnswer {
  if (found.kind === "journal") return { journal: { ...found.report, unreconciled: [...found.report.unreconciled] } };
  if (found.kind === "folders") return { folders: stateAsJson(found.report) };
  return stateAsJson(found.report);
}

function stateAsJson<Report extends StateReport>({ recoveryPoint, ...report }: Report) {
  return { ...report, recoveryPoint };
}
