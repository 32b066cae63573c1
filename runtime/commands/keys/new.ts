import { z } from "zod";
import { newOperatorKey } from "../../workflows/trust/new-operator-key.ts";
import { type CommandDefinition, exitCodesHelp } from "../shared/command.ts";

interface Options {
  readonly name: string;
  readonly file?: string;
  readonly identityFile?: string;
}

const answer = z.strictObject({
  name: z.string().describe("whose key it is"),
  key: z.string().describe("the public key, for `trust.keys` of both regions"),
  file: z.string().optional().describe("where the secret key is; absent for that of the offline recovery identity"),
});

export const keysNew: CommandDefinition<Options, z.infer<typeof answer>> = {
  name: "keys new",
  summary: "make a key that an operator or CI signs with, and show its public key for the settings",
  answer,
  configure: (command) =>
    command
      .requiredOption("--name <name>", "whose key it is")
      .option("--file <file>", "where to write it; <name>.signing-key here when left out")
      .option(
        "--identity-file <file>",
        "show the public key that follows from the offline recovery identity in this file, and write nothing",
      )
      .addHelpText("after", exitCodesHelp([2, "wrong option, or the file is there and holds something else"])),
  async run(deps, options) {
    const made = await newOperatorKey({ ...options, files: deps.initTools.files });
    const { file, key, name } = made;
    const lines = [
      ...(file === undefined ? [] : [`${file} holds the key of ${name}: readable for its owner only`]),
      "Into `trust.keys` of both regions:",
      `  ${JSON.stringify({ name, key })}`,
    ];
    return { json: made, text: lines.join("\n") };
  },
};
