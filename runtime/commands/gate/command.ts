import { z } from "zod";
import type { RegionOptions } from "../../composition/deps.ts";
import { DrError } from "../../errors.ts";
import { type CommandDefinition, exitCodesHelp } from "../shared/command.ts";

const answer = z.strictObject({ url: z.string().describe("where clients reached it") });

export const gate: CommandDefinition<Pick<RegionOptions, "settings">, z.infer<typeof answer>> = {
  name: "gate",
  summary: "stand in front of the Qdrant of the settings file: let clients through only while its region is active",
  answer,
  configure: (command) =>
    command
      .option(
        "--settings <file>",
        "the settings file; when left out, QDRANT_DR_SETTINGS names it, or it is qdrant-dr.yaml here",
      )
      .addHelpText(
        "after",
        `${exitCodesHelp([2, "wrong option or setting"], [4, "the port is taken"])}

It runs until it is interrupted, and then lets what is under way finish. REST and gRPC come by either of its ports. Clients get its
keys, not Qdrant's; let them reach Qdrant no other way. Keys and certificates that change count without a restart.`,
      ),
  async run(deps, options) {
    const file = await deps.settings(options);
    const url = file?.settings.gate?.url;
    if (file === undefined || url === undefined) {
      throw new DrError("USAGE", `${file?.path ?? "there is no settings file, so it"} describes no gate`, {
        hint: "give the setting `gate`: docs/how-to/two-machines.md shows it",
      });
    }
    const end = await deps.runGate(file);
    const interrupted = new Promise<void>((done) => {
      deps.onInterrupt(async () => {
        await end();
        done();
      });
    });
    deps.progress({ step: "gate", detail: url });
    await interrupted;
    return { json: { url }, text: "Stopped" };
  },
};
