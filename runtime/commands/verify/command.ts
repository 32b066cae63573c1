import { z } from "zod";
import type { RegionOptions } from "../../composition/deps.ts";
import { formatBytes, formatCount, formatSeconds } from "../../domain/format.ts";
import { missingFrom, missingInWords } from "../../domain/recovery-points/missing.ts";
import { findRecoveryPoint } from "../../workflows/find-recovery-point.ts";
import { recordedRun } from "../../workflows/recorded-run.ts";
import { verifyRecoveryPoint } from "../../workflows/verify-recovery-point.ts";
import { type CommandDefinition, exitCodesHelp, regionOptions } from "../shared/command.ts";
import { bytes, count, listOf, missingPart, recoveryPointId, seconds } from "../shared/fields.ts";

interface Options extends RegionOptions {
  readonly stack?: string;
  readonly recoveryPoint: string;
}

const answer = z.strictObject({
  recoveryPoint: recoveryPointId.describe("the recovery point that was read, every byte of it"),
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
        "a recovery point, latest, or a time: the newest one begun then or before",
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
      const found = await findRecoveryPoint(repository, options.recoveryPoint, { kinds: [] });
      const { recoveryPoint, ...report } = await verifyRecoveryPoint(repository, found, {
        ...deps,
        region: session.region.region,
      });
      const missing = missingFrom(found);
      const state = missing.length === 0 ? "is whole" : "is partial, and what it holds is whole";
      const text = [
        `${recoveryPoint} ${state} in ${session.region.region}: ${formatCount(report.files)} files, ${formatBytes(report.bytes)} read in ${formatSeconds(report.seconds)}`,
        ...missing.map((each) => `  missing: ${missingInWords(each)}`),
      ].join("\n");
      return { json: { recoveryPoint, ...report, missing }, text };
    });
  },
};
