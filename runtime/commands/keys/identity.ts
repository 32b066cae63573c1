import { z } from "zod";
import { newIdentity } from "../../workflows/trust/new-identity.ts";
import { type CommandDefinition, exitCodesHelp } from "../shared/command.ts";

interface Options {
  readonly file: string;
}

const answer = z.strictObject({
  recipient: z.string().describe("what data keys are wrapped for, for the recipients of both regions"),
  file: z.string().describe("where the identity is, which opens them"),
});

export const keysIdentity: CommandDefinition<Options, z.infer<typeof answer>> = {
  name: "keys identity",
  summary: "make an age identity, operational or offline, and show its recipient for the settings",
  answer,
  configure: (command) =>
    command
      .requiredOption("--file <file>", "where to write it; what is there already stays")
      .addHelpText("after", exitCodesHelp([2, "the file is there and holds something else"])),
  async run(deps, { file }) {
    const made = await newIdentity(file, deps.initTools);
    return {
      json: made,
      text: `${made.file} holds the identity: readable for its owner only\nIts recipient: ${made.recipient}`,
    };
  },
};
