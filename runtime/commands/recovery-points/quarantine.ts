import { z } from "zod";
import type { RegionOptions } from "../../composition/deps.ts";
import { quarantineRecoveryPoint, releaseRecoveryPoint } from "../../workflows/quarantine-recovery-point.ts";
import { type CommandDefinition, exitCodesHelp, regionOptions } from "../shared/command.ts";
import { recoveryPointId } from "../shared/fields.ts";
import { recoveryPointState, stateInWords } from "./state.ts";

interface Options extends RegionOptions {
  readonly stack?: string;
  readonly recoveryPoint: string;
  readonly because: string;
}

const answer = z.strictObject({ recoveryPoint: recoveryPointId, ...recoveryPointState });

interface Verdict {
  readonly name: string;
  readonly summary: string;
  readonly why: string;
  readonly say: typeof quarantineRecoveryPoint;
}

function verdictCommand({ name, say, summary, why }: Verdict): CommandDefinition<Options, z.infer<typeof answer>> {
  return {
    name,
    summary,
    answer,
    configure: (command) =>
      regionOptions(command)
        .option("--stack <name>", "stack whose bucket it is in; left out: the region of the settings file")
        .requiredOption("--recovery-point <id>", "the recovery point")
        .requiredOption("--because <text>", `${why}: it is kept with it`)
        .addHelpText(
          "after",
          exitCodesHelp(
            [5, "the bucket does not answer, or your key may not say that"],
            [10, "no such recovery point"],
          ),
        ),
    async run(deps, { because, recoveryPoint: id, ...options }) {
      const session = await deps.access(options.stack, options);
      const { reasons, state } = await say({ session, clock: deps.clock, id, because });
      return { json: { recoveryPoint: id, state, reasons: [...reasons] }, text: stateInWords(id, state, reasons) };
    },
  };
}

export const recoveryPointsQuarantine = verdictCommand({
  name: "recovery-points quarantine",
  summary: "restore nothing from a recovery point unasked, and build no capture on it",
  why: "why nothing is to be restored from it",
  say: quarantineRecoveryPoint,
});

export const recoveryPointsRelease = verdictCommand({
  name: "recovery-points release",
  summary: "lift the quarantine of a recovery point: only an operator can",
  why: "why it can be restored from again",
  say: releaseRecoveryPoint,
});
