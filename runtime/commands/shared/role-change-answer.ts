/** Answers of a failover and a switchover. */
import { z } from "zod";
import { formatSeconds } from "../../domain/format.ts";
import { DrError } from "../../errors.ts";
import type { RoleChangeReport } from "../../workflows/failover/fail-over.ts";
import type { FolderLeft } from "../../workflows/failover/restore-declared-folders.ts";
import type { Answer } from "./command.ts";
import type { KeptRoleChange } from "./failover-evidence.ts";
import { bytes, count, gateMode, listOf, missingPart, recoveryPointId, seconds, time, timedStep } from "./fields.ts";

export const foldersLeft = listOf(
  z.strictObject({ name: z.string(), because: z.string().describe("why it was not restored") }),
).describe("folders that the region declares and that did not come back");

export const roleChangeAnswer = z.strictObject({
  region: z.string().describe("the region that is active now"),
  from: z.string().describe("the region that was active before"),
  epoch: count.describe("the epoch that the change of roles made"),
  mode: z.enum(["switchover", "failover"]).describe("switchover: both regions lived; failover: after a loss"),
  run: z.string().describe("id of the run"),
  recoveryPoint: recoveryPointId.describe("the recovery point that the region serves from"),
  recoveryPointTime: time,
  dataLossSeconds: seconds.describe("writes acknowledged in so many seconds before may be lost; 0 for a switchover"),
  isExact: z.boolean().describe("false: deletes since an optimization began may be undone in the recovery point"),
  isWarm: z.boolean().describe("the region's Qdrant held the recovery point already"),
  absent: listOf(z.string()).describe("collections that are not served, because no capture could read them"),
  points: count.describe("Qdrant points that the region holds now"),
  isVerified: z.boolean().describe("what the region serves was compared with what the source answered"),
  foldersLeft,
  pauseSeconds: seconds
    .optional()
    .describe("switchover: for how long no region took writes; absent when an earlier run fenced the region"),
  steps: listOf(timedStep),
  startedAt: time,
  seconds: seconds.describe("from the command to its end"),
  report: z.string().optional().describe("path of the page about this run; absent when it could not be written"),
});
export type RoleChangeAnswer = z.infer<typeof roleChangeAnswer>;

export function describeRoleChange(kept: KeptRoleChange): Answer<RoleChangeAnswer> {
  const { recoveryPoint, recoveryPointTime, ...report } = kept.report;
  const json = { ...report, recoveryPoint, recoveryPointTime: recoveryPointTime, report: kept.page };
  return {
    json,
    text: formatRoleChange(kept),
    shortcoming: foldersShortcoming(kept.report.region, kept.report.foldersLeft),
  };
}

export function foldersShortcoming(region: string, left: readonly FolderLeft[]): DrError | undefined {
  if (left.length === 0) return undefined;
  const told = left.map(({ because, name }) => `${name} (${because})`).join("; ");
  return new DrError("RECOVERY_POINT_PARTIAL", `${region} serves, and lacks folders: ${told}`, {
    hint: "remove what is in the way and run it again, which restores what is left; or `qdrant-dr restore --only config,user-data`",
  });
}

function formatRoleChange({ page, report }: KeptRoleChange): string {
  const { absent, epoch, region, steps } = report;
  const lines = steps.map(
    ({ detail, seconds, title }) => `  ${formatSeconds(seconds).padStart(8)}  ${title}: ${detail}`,
  );
  const where = page === undefined ? [] : [`Report  ${page}`];
  const lacked = absent.length === 0 ? [] : [`  not served, because no capture could read them: ${absent.join(", ")}`];
  return [`${region} is active in epoch ${epoch}: ${formatCost(report)}`, ...lacked, ...lines, ...where].join("\n");
}

function formatCost({ dataLossSeconds, mode, pauseSeconds }: RoleChangeReport): string {
  if (mode === "failover") return `${formatSeconds(dataLossSeconds)} of writes may be lost`;
  // An earlier run wrote the fence: nobody measured the pause.
  if (pauseSeconds === undefined) return "nothing lost";
  return `nothing lost, writes paused for ${formatSeconds(pauseSeconds)}`;
}

const obstacle = z.strictObject({
  region: z.string(),
  what: z.string().describe("what was looked at"),
  detail: z.string(),
  hint: z.string().optional().describe("what removes it"),
  stops: z.boolean().describe("a change of roles stops at it; otherwise it only makes one worse"),
});

export const planAnswer = z.strictObject({
  region: z.string().describe("the region that would become active"),
  from: z.string().describe("the region that is active until then"),
  epoch: count.describe("the epoch that would be made or gone on with"),
  continues: z.boolean().describe("an earlier run made the epoch: its work would be gone on with"),
  hasEnded: z.boolean().describe("that run did all there is to do"),
  gateMode: gateMode.optional().describe("absent when the region has no gate"),
  dataLossSeconds: seconds.describe("writes acknowledged in so many seconds would be lost"),
  dataLossSecondsOf: z
    .record(z.string(), z.number())
    .describe("the same by collection, where they were captured apart"),
  recoveryPoint: recoveryPointId
    .optional()
    .describe("the recovery point that would be served; absent when the last writes would be brought over first"),
  recoveryPointTime: time.optional(),
  collections: listOf(z.string()).optional().describe("names of the collections in the recovery point"),
  missing: listOf(missingPart)
    .optional()
    .describe("what the recovery point lacks, because its capture could not read it"),
  absent: listOf(z.string()).optional().describe("collections that would not be served at all: --accept-absent"),
  excluded: listOf(z.string()).optional().describe("collections that were left out of the recovery point on purpose"),
  isExact: z.boolean().optional(),
  isWarm: z.boolean().optional().describe("the region's Qdrant holds the recovery point already"),
  asOf: time.optional().describe("every write acknowledged before this would be served, by times that can be believed"),
  doubt: z.string().optional().describe("why the time that the recovery point names itself does not count"),
  bytes: bytes.optional().describe("what would be restored"),
  restoreSeconds: seconds.optional().describe("how long restoring is predicted to take"),
  calibratedBy: count
    .optional()
    .describe(
      "how many of the region's own restores, test restores too, that is predicted from; 0: rates of another machine",
    ),
  predictedSeconds: seconds.optional().describe("from the command until clients are served, as predicted"),
  obstacles: listOf(obstacle).describe("what stands in the way, in either region"),
});
export type PlanAnswer = z.infer<typeof planAnswer>;
