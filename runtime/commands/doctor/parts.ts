/** The parts that the quickstart needs. */
import type { z } from "zod";
import { DrError } from "../../errors.ts";
import type { Answer } from "../shared/command.ts";
import type { doctorAnswer } from "./answer.ts";

/** Throws PART_MISSING when one is missing or unfit. */
export async function inspectedParts(): Promise<Answer<z.infer<typeof doctorAnswer>>> {
  const { inspectParts } = await import("../../../setup/inspect.mjs");
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
}
