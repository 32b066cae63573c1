import type { RegionOptions } from "../../composition/deps.ts";
import { heal as healRepository } from "../../workflows/heal/heal.ts";
import { damageOf } from "../../workflows/verify/verify-region.ts";
import { type CommandDefinition, exitCodesHelp, regionOptions } from "../shared/command.ts";
import { openHealing } from "../shared/healing.ts";
import { type HealAnswer, healAnswer } from "./answer.ts";
import { healedInWords } from "./text.ts";

interface Options extends RegionOptions {
  readonly stack?: string;
  readonly from?: string;
  readonly readAll: boolean;
}

export const heal: CommandDefinition<Options, HealAnswer> = {
  name: "heal",
  summary: "fetch what is damaged or missing in a region's bucket from the other region's",
  answer: healAnswer,
  configure: (command) =>
    regionOptions(command)
      .option("--stack <name>", "stack whose bucket is healed; left out: the region of the settings file")
      .option("--from <stack>", "stack it is fetched from; left out: the peer of the other")
      .option(
        "--read-all",
        "read every byte first; otherwise what `verify` found is healed, and what recovery points name and is missing",
        false,
      )
      .addHelpText(
        "after",
        exitCodesHelp(
          [5, "a bucket does not answer, or refuses access"],
          [10, "no repository is there"],
          [12, "something is damaged, and could not be healed"],
        ),
      ),
  async run(deps, options) {
    const session = await deps.access(options.stack, options);
    const report = await healRepository({
      ...deps,
      ...(await openHealing(deps, session, options)),
      open: () => session.repository(),
      readsAll: options.readAll,
      region: session.region.region,
    });
    return { json: report, text: healedInWords(report).join("\n"), shortcoming: damageOf(report.unhealed) };
  },
};
