import { z } from "zod";
import { DrError } from "../../errors.ts";
import { type TestedReceiver, testReceivers } from "../../workflows/serve/test-receivers.ts";
import { type CommandDefinition, exitCodesHelp, settingsOption } from "../shared/command.ts";
import { listOf } from "../shared/fields.ts";
import { namedSettings } from "../shared/named-settings.ts";

interface Options {
  readonly settings?: string;
}

const answer = z.strictObject({
  receivers: listOf(z.string()).describe("those that took the test message, in the order of the settings file"),
});

export const alertsTest: CommandDefinition<Options, z.infer<typeof answer>> = {
  name: "alerts test",
  summary: "send a test message to everybody who is told of problems, and say of each whether it was taken",
  answer,
  configure: (command) =>
    settingsOption(command).addHelpText(
      "after",
      exitCodesHelp([2, "wrong option or setting, or nobody is to be told"], [5, "somebody did not take it"]),
    ),
  async run(deps, options) {
    const file = await namedSettings(deps, options);
    const told = await testReceivers(await deps.alertReceivers(file), file.settings.region, deps.clock.now());
    if (told.length === 0) {
      throw new DrError("SETTING_INVALID", `${file.path} names nobody who is to be told`, {
        hint: "add webhooks, email or heartbeat under alerts",
      });
    }
    const lines = told.map(inWords);
    const failed = told.filter(({ isTaken }) => !isTaken);
    if (failed.length > 0) {
      throw new DrError(
        "UNREACHABLE",
        `${failed.length} of ${told.length} did not take the test: ${lines.join("; ")}`,
        {
          hint: "correct alerts in the settings file, or what is between; then run it again",
        },
      );
    }
    return { json: { receivers: told.map(({ receiver }) => receiver) }, text: lines.join("\n") };
  },
};

function inWords({ problem, receiver }: TestedReceiver): string {
  if (problem === undefined) return `${receiver} took it`;
  return problem.startsWith(receiver) ? problem : `${receiver}: ${problem}`;
}
