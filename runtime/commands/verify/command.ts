import { z } from "zod";
import type { RegionOptions } from "../../composition/deps.ts";
import { formatBytes, formatCount, formatSeconds } from "../../domain/format.ts";
import { missingFrom, missingInWords } from "../../domain/recovery-points/missing.ts";
import type { RecoveryPoint } from "../../domain/recovery-points/recovery-point.ts";
import { findRecoveryPointsOfAllKinds } from "../../workflows/find-recovery-point.ts";
import { recordedRun } from "../../workflows/recorded-run.ts";
import { type VerifyReport, verifyRecoveryPoints } from "../../workflows/verify-recovery-point.ts";
import { type CommandDefinition, exitCodesHelp, regionOptions } from "../shared/command.ts";
import { bytes, count, kind, listOf, missingPart, recoveryPointId, seconds } from "../shared/fields.ts";

interface Options extends RegionOptions {
  readonly stack?: string;
  readonly recoveryPoint: string;
}

const answer = z.strictObject({
  recoveryPoint: recoveryPointId.describe(
    "the recovery point that was read, every byte of it; of several, the one with Qdrant's data",
  ),
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
  ).describe("each that was read: the newest with Qdrant's data, and the newest of each kind that is captured apart"),
  files: count.describe("files of shards and folders"),
  bytes: bytes.describe("bytes read and compared"),
  missing: listOf(missingPart).describe("what the recovery point lacks, because its capture could not read it"),
  seconds,
});

export const verify: CommandDefinition<Options, z.infer<typeof answer>> = {
  name: "verify",
  summary: "read every byte of a recovery point from a region's bucket, open it and compare it with its name",
  answer,
  configure: (command) =>
    regionOptions(command)
      .option("--stack <name>", "stack whose bucket is read; left out: the region of the settings file")
      .option(
        "--recovery-point <id>",
        "a recovery point, latest (the newest with Qdrant's data, and of each kind that is captured apart), or a time: those begun then or before",
        "latest",
      )
      .addHelpText(
        "after",
        exitCodesHelp(
          [5, "the bucket does not answer, or refuses access"],
          [10, "no such recovery point, or it is not complete"],
          [12, "something is damaged"],
        ),
      ),
  async run(deps, options) {
    const session = await deps.access(options.stack, options);
    return recordedRun({ ...deps, session, run: "verify" }, async () => {
      const repository = await session.repository();
      const found = await findRecoveryPointsOfAllKinds(repository, options.recoveryPoint);
      const report = await verifyRecoveryPoints(repository, found, { ...deps, region: session.region.region });
      const text = [
        ...report.recoveryPoints.map((each) => wholeInWords(each, session.region.region, found)),
        ...report.missing.map((each) => `  missing: ${missingInWords(each)}`),
      ].join("\n");
      return { json: report, text };
    });
  },
};

function wholeInWords(
  { bytes, collections, files, folders, recoveryPoint, seconds }: VerifyReport,
  region: string,
  found: readonly RecoveryPoint[],
): string {
  const isPartial = found.some((each) => each.id === recoveryPoint && missingFrom(each).length > 0);
  const state = isPartial ? "is partial, and what it holds is whole" : "is whole";
  const parts = [
    ...(collections === 0 ? [] : [`${formatCount(collections)} collections`]),
    ...(folders === 0 ? [] : [`${formatCount(folders)} folders`]),
  ];
  const held = parts.length === 0 ? "nothing" : parts.join(" and ");
  return `${recoveryPoint} ${state} in ${region}: ${held}, ${formatCount(files)} files, ${formatBytes(bytes)} read in ${formatSeconds(seconds)}`;
}
