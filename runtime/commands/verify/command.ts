import { Option } from "commander";
import type { RegionOptions } from "../../composition/deps.ts";
import { missingFrom } from "../../domain/recovery-points/missing.ts";
import { recordedRun } from "../../workflows/recorded-run.ts";
import { verifyRegion } from "../../workflows/verify/verify-region.ts";
import { testAnswer } from "../restore/test.ts";
import { type CommandDefinition, exitCodesHelp, regionOptions } from "../shared/command.ts";
import { openHealing } from "../shared/healing.ts";
import { type ReadAnswer, type VerifyAnswer, verifyAnswer } from "./answer.ts";
import { verifiedInWords } from "./text.ts";

interface Options extends RegionOptions {
  readonly stack?: string;
  readonly recoveryPoint?: string;
  readonly tier: (typeof tiers)[number];
  readonly heal: boolean;
  readonly from?: string;
}

const tiers = ["manifest", "chunks", "restore"] as const;

export const verify: CommandDefinition<Options, VerifyAnswer> = {
  name: "verify",
  summary: "read recovery points back from a region's bucket, and compare every byte with its name",
  answer: verifyAnswer,
  configure: (command) =>
    regionOptions(command)
      .option("--stack <name>", "stack whose bucket is read; left out: the region of the settings file")
      .option(
        "--recovery-point <id>",
        "a recovery point, latest (the newest with Qdrant's data, and of each kind that is captured apart), or a time: those begun then or before. Left out: latest, and the share of the whole repository that is due, so that all of it is read within 30 days",
      )
      .addOption(
        new Option(
          "--tier <tier>",
          "manifest: what a recovery point names is there; chunks: every byte of it is read and opened; restore: it is restored, compared and removed, as `restore --test` does",
        )
          .choices(tiers)
          .default("chunks"),
      )
      .option("--heal", "fetch what is damaged or missing from the other region's bucket", false)
      .option("--from <stack>", "with --heal: the stack it is fetched from; left out: the peer")
      .addHelpText(
        "after",
        exitCodesHelp(
          [5, "the bucket does not answer, or refuses access"],
          [10, "no such recovery point, or it is not complete"],
          [12, "something is damaged, and was not healed"],
          [15, "with --tier restore: the recovery point is partial"],
        ),
      ),
  async run(deps, options) {
    const { recoveryPoint, tier } = options;
    const session = await deps.access(options.stack, options);
    if (tier === "restore") {
      return recordedRun(
        { ...deps, session, run: "test-restore" },
        () => testAnswer(deps, session, { ...options, recoveryPoint: recoveryPoint ?? "latest" }),
        { shortcomingOf: ({ shortcoming }) => shortcoming },
      );
    }
    return recordedRun({ ...deps, session, run: "verify" }, async () => {
      const { region } = session.region;
      const report = await verifyRegion({
        ...deps,
        open: () => session.repository(),
        tier,
        recoveryPoint,
        region,
        heal: options.heal ? await openHealing(deps, session, options) : undefined,
      });
      const { found, healed, read, share } = report;
      const json: ReadAnswer = {
        recoveryPoint: found[0]?.id ?? "",
        recoveryPoints: found.map((each) => {
          const whole = read?.recoveryPoints.find((part) => part.recoveryPoint === each.id);
          const { collections, folders, id, kinds } = each;
          const counted = { kinds, collections: collections.length, folders: folders.length };
          return {
            recoveryPoint: id,
            ...counted,
            files: whole?.files ?? 0,
            bytes: whole?.bytes ?? 0,
            seconds: whole?.seconds ?? 0,
          };
        }),
        tier,
        files: read?.files ?? 0,
        bytes: read?.bytes ?? 0,
        missing: found.flatMap(missingFrom),
        seconds: read?.seconds ?? 0,
        ...(share === undefined ? {} : { share: { ...share, readSince: share.readSince.toISOString() } }),
        ...(healed === undefined ? {} : { healed }),
      };
      return { json, text: verifiedInWords(json, region, found) };
    });
  },
};
