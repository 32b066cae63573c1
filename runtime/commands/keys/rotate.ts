import { z } from "zod";
import type { RegionOptions } from "../../composition/deps.ts";
import { DrError } from "../../errors.ts";
import { type KeyRotationPlan, planKeyRotation, rotateKeys } from "../../workflows/trust/rotate-keys.ts";
import { type CommandDefinition, exitCodesHelp, regionOptions } from "../shared/command.ts";

interface Options extends RegionOptions {
  readonly stack?: string;
  readonly newDataKeys: boolean;
  readonly plan: boolean;
}

const answer = z.strictObject({
  isDone: z.boolean().describe("false: it is a plan, and nothing was changed"),
  held: z.number().int().describe("data keys that the recipients of today open already"),
  wrapped: z.number().int().describe("data keys that were wrapped for them, or will be"),
  unopened: z
    .array(z.strictObject({ key: z.string(), because: z.string() }))
    .describe(
      "data keys that stay as they are: nobody signed them, they are damaged, or do not open with the identity that is known here",
    ),
  generation: z.number().int().describe("of data keys: 0 until `--new-data-keys` begins another one"),
  beginsGeneration: z.boolean().describe("whether captures make new data keys from now on"),
});

export const keysRotate: CommandDefinition<Options, z.infer<typeof answer>> = {
  name: "keys rotate",
  summary: "wrap a region's data keys for the recipients of its settings, and let captures make new ones",
  answer,
  configure: (command) =>
    regionOptions(command)
      .option("--plan", "show what would be done, and change nothing", false)
      .option("--new-data-keys", "captures make new data keys from now on; what is stored stays readable", false)
      .option("--stack <name>", "stack whose stores they are; left out: the region of the settings file")
      .addHelpText(
        "after",
        `
It rewrites no data, and can be run again. Do it in both regions. After --new-data-keys the next capture of each collection and folder
is a full one, sealed with keys that a former identity does not open.
${exitCodesHelp(
  [5, "the bucket does not answer, or your key may not say that"],
  [10, "no repository, or keys that do not open: the others are wrapped"],
)}`,
      ),
  async run(deps, options) {
    const session = await deps.access(options.stack, options);
    const repository = await session.repository();
    const plan = await planKeyRotation(repository, options);
    const generation = options.plan ? plan.generation : await rotateKeys(repository, plan, deps.clock);
    const json = {
      isDone: !options.plan,
      held: plan.held.length,
      wrapped: plan.toWrap.length,
      unopened: [...plan.unopened],
      generation,
      beginsGeneration: plan.begins !== undefined,
    };
    return {
      json,
      text: rotationInWords(plan, { ...json, newDataKeys: options.newDataKeys }),
      shortcoming: unopened(plan),
    };
  },
};

function rotationInWords(
  plan: KeyRotationPlan,
  { beginsGeneration, generation, isDone, newDataKeys }: z.infer<typeof answer> & Pick<Options, "newDataKeys">,
): string {
  const wrapped = isDone
    ? "wrapped for the recipients of the settings"
    : "would be wrapped for the recipients of the settings";
  const begun = isDone ? `generation ${generation} of data keys begins` : "another generation of data keys would begin";
  return [
    `data keys ${wrapped}: ${plan.toWrap.length}; they open ${plan.held.length} already`,
    ...(beginsGeneration ? [`${begun}: the next capture of each collection and folder is a full one`] : []),
    ...(newDataKeys && !beginsGeneration
      ? [`generation ${generation} of data keys has not been used yet: no other one begins`]
      : []),
    ...plan.unopened.map(({ because, key }) => `left as it is: ${key}: ${because}`),
  ].join("\n");
}

function unopened({ unopened: [first, ...others] }: KeyRotationPlan): DrError | undefined {
  if (first === undefined) return undefined;
  return new DrError("KEY_UNAVAILABLE", `${others.length + 1} data keys do not open here, and were not wrapped again`, {
    hint: "give the former identity, or the offline recovery one: `--identity-file`",
  });
}
