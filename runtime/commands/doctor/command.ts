import { z } from "zod";
import { inspectParts } from "../../../setup/inspect.mjs";
import { DrError } from "../../errors.ts";
import { type CommandDefinition, exitCodesHelp } from "../shared/command.ts";
import { listOf } from "../shared/fields.ts";

const answer = z.strictObject({
  parts: listOf(
    z.strictObject({
      id: z.string(),
      purpose: z.string(),
      required: z.string().describe("the versions that fit"),
      state: z.enum(["ready", "missing", "unfit"]),
      version: z.string().optional(),
      source: z.enum(["path", "official download", "registry"]).optional(),
      location: z.string().optional(),
      mend: z.string().optional().describe("how to get the part"),
    }),
  ).describe("each part that is needed"),
});

export const doctor: CommandDefinition<object, z.infer<typeof answer>> = {
  name: "doctor",
  summary: "show each part that is needed, its version, where it came from, and how to mend what is missing",
  answer,
  configure: (command) => command.addHelpText("after", exitCodesHelp([4, "a part is missing or unfit"])),
  async run() {
    const parts = await inspectParts();
    const rows = parts.map(({ id, location, mend, purpose, source, state, version }) =>
      [
        `${state === "ready" ? "✓" : "✗"} ${id.padEnd(10)} ${(version ?? state).padEnd(10)} ${(source ?? "").padEnd(17)} ${location ?? purpose}`,
        ...(mend === undefined ? [] : [`    ${mend}`]),
      ].join("\n"),
    );
    const answer = { json: { parts }, text: rows.join("\n") };
    const lacking = parts.filter(({ state }) => state !== "ready").map(({ id }) => id);
    if (lacking.length === 0) return answer;
    throw new DrError("PART_MISSING", `${lacking.join(", ")} missing or unfit\n${answer.text}`, {
      hint: "`npm run quickstart` sets up whatever is missing",
    });
  },
};
