import { z } from "zod";
import type { RegionOptions } from "../../composition/deps.ts";
import { keptInWords } from "../../domain/history/kept-recovery-points.ts";
import { keepRecoveryPoint } from "../../workflows/keep-recovery-point.ts";
import { type CommandDefinition, exitCodesHelp, regionOptions } from "../shared/command.ts";
import { recoveryPointId, time } from "../shared/fields.ts";

interface Options extends RegionOptions {
  readonly stack?: string;
  readonly recoveryPoint: string;
  readonly until?: string;
  readonly reason?: string;
  readonly end: boolean;
}

const answer = z.strictObject({
  recoveryPoint: recoveryPointId,
  isKept: z.boolean().describe("false: retention decides about it again"),
  until: time.optional().describe("it is kept until then; absent: until somebody ends it"),
  reason: z.string().optional().describe("why, as it was given"),
  state: z
    .enum(["complete", "incomplete", "deposed", "quarantined", "unreadable"])
    .describe("only a complete recovery point can be restored from this bucket"),
});

export const recoveryPointsKeep: CommandDefinition<Options, z.infer<typeof answer>> = {
  name: "recovery-points keep",
  summary: "keep a recovery point in a region's bucket, whatever retention says",
  answer,
  configure: (command) =>
    regionOptions(command)
      .requiredOption("--recovery-point <id>", "its id")
      .option("--until <time>", "with a zone, like 2027-01-31T00:00:00Z; left out: until somebody ends it")
      .option("--reason <text>", "why; shown where it is listed, and by `prune --plan`")
      .option("--end", "keep it no longer than retention does", false)
      .option("--stack <name>", "stack whose bucket holds it; left out: the region of the settings file")
      .addHelpText(
        "after",
        `
What is said last about a recovery point counts. It is said of one bucket: say it of the other region's, too.
${exitCodesHelp(
  [2, "a time that is over or has no zone"],
  [5, "the bucket does not answer, or refuses access; or your key may not say that"],
  [10, "no such recovery point, or a prune that has begun drops it"],
)}`,
      ),
  async run(deps, options) {
    const session = await deps.access(options.stack, options);
    const { kept, state } = await keepRecoveryPoint(await session.repository(), {
      ...options,
      ends: options.end,
      clock: deps.clock,
    });
    const { recoveryPoint } = options;
    const how = kept === undefined ? "kept no longer than retention does" : keptInWords(kept);
    const remark = state === "complete" ? "" : `; it is ${state}`;
    const told = { isKept: kept !== undefined, until: kept?.until, reason: kept?.reason };
    return { json: { recoveryPoint, ...told, state }, text: `${recoveryPoint} is ${how}${remark}` };
  },
};
