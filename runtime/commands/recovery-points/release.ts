import { z } from "zod";
import type { RegionOptions } from "../../composition/deps.ts";
import { releaseRecoveryPoint } from "../../workflows/quarantine-recovery-point.ts";
import { type CommandDefinition, exitCodesHelp, regionOptions } from "../shared/command.ts";
import { recoveryPointId } from "../shared/fields.ts";
import { recoveryPointState, stateInWords } from "./state.ts";

interface Options extends RegionOptions {
  readonly stack?: string;
  readonly recoveryPoint: string;
  readonly because: string;
}

const answer = z.strictObject({ recoveryPoint: recoveryPointId, ...recoveryPointState });

export const recoveryPointsRelease: CommandDefinition<Options, z.infer<typeof answer>> = {
  name: "recovery-points release",
  summary: "lift the quarantine of a recovery point: only an operator can",
  answer,
  configure: (command) =>
    regionOptions(command)
      .option("--stack <name>", "stack whose bucket it is in; left out: the region of the settings file")
      .requiredOption("--recovery-point <id>", "the recovery point")
      .requiredOption("--because <text>", "why it can be restored from again: it is kept with it")
      .addHelpText(
        "after",
        exitCodesHelp([5, "the bucket does not answer, or your key may not say that"], [10, "no such recovery point"]),
      ),
  async run(deps, { because, recoveryPoint: id, ...options }) {
    const session = await deps.access(options.stack, options);
    const { reasons, state } = await releaseRecoveryPoint({ session, clock: deps.clock, id, because });
    return { json: { recoveryPoint: id, state, reasons: [...reasons] }, text: stateInWords(id, state, reasons) };
  },
};
