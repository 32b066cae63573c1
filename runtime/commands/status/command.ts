import type { RegionOptions } from "../../composition/deps.ts";
import { DrError } from "../../errors.ts";
import { observePair } from "../../workflows/status/observe-pair.ts";
import { knowPeer, memberOf } from "../../workflows/status/pair-member.ts";
import { type CommandDefinition, exitCodesHelp, parseNumber, regionOptions } from "../shared/command.ts";
import { asJson, type StatusAnswer, statusAnswer } from "./answer.ts";
import { describeStatus } from "./text.ts";

interface Options extends RegionOptions {
  readonly stack?: string;
  readonly for: number;
  readonly drift?: boolean;
  readonly atLeast?: number;
}

export const status: CommandDefinition<Options, StatusAnswer> = {
  name: "status",
  summary: "what is true of both regions now, whether the active one serves, and how ready the other is to take over",
  answer: statusAnswer,
  configure: (command) =>
    regionOptions(command)
      .option(
        "--stack <name>",
        "one of the two stacks; the other is its peer; left out: the region of the settings file",
      )
      .option(
        "--for <seconds>",
        "look at the active region until a verdict stands, at most for so long",
        parseNumber,
        0,
      )
      .option("--drift", "also ask Pulumi what `up` of the standby's stack would change")
      .option("--at-least <score>", "fail when the readiness is lower", parseNumber)
      .addHelpText(
        "after",
        `${exitCodesHelp([2, "wrong option or stack"], [13, "the readiness is lower than --at-least"])}

The active region is serving, impaired (its Qdrant answers, and clients do not reach it), down (its Qdrant and a second
signal are gone, and the other region answers) or unclear. A verdict stands only when all looks of 15 seconds agree:
\`--for 60\` gives them time. Readiness is 0 while something is wrong without which a failover cannot be
done. No role changes by itself.`,
      ),
  async run(deps, options) {
    const here = await deps.access(options.stack, options);
    const { peer } = here.region;
    const there = peer === undefined ? undefined : await knowPeer(peer, () => deps.access(peer, options));
    const found = await observePair({
      members: there === undefined ? [memberOf(here)] : [memberOf(here), there],
      seconds: options.for,
      clock: deps.clock,
      progress: deps.progress,
      ...(options.drift ? { preview: async (stack) => (await deps.stacks(options)).preview(stack) } : {}),
    });
    const text = describeStatus(found);
    const score = found.readiness?.score;
    if (options.atLeast !== undefined && (score === undefined || score < options.atLeast)) {
      throw new DrError(
        "OBJECTIVE_MISSED",
        `readiness is ${score ?? "not known"}, and ${options.atLeast} is wanted\n${text}`,
        {
          hint: "mend what is marked above; each line says how",
        },
      );
    }
    return { json: asJson(found), text };
  },
};
