/** The command line, whose JSON answers are held against the schema that the command declares. */
import { z } from "zod";
import { commandAnswers, type Output, runCli } from "../../runtime/cli.ts";
import type { Deps } from "../../runtime/composition/deps.ts";

export async function runCheckedCli(args: readonly string[], deps: Deps, output: Output): Promise<number> {
  let out = "";
  const exitCode = await runCli(args, deps, {
    out: (text) => {
      out += `${text}\n`;
      output.out(text);
    },
    err: (text) => output.err(text),
  });
  if (exitCode === 0 && args.includes("--json")) checkAnswer(args, JSON.parse(out.trimEnd().split("\n").at(-1) ?? ""));
  return exitCode;
}

/** Throws when this is not what `--json` of the command may say. */
export function checkAnswer(args: readonly string[], json: unknown): void {
  const names = Object.keys(commandAnswers).filter((name) => name.split(" ").every((word, at) => word === args[at]));
  const schema = commandAnswers[names.sort((a, b) => b.length - a.length)[0] ?? ""];
  if (schema === undefined) throw new Error(`no command declares an answer to ${args.join(" ")}`);
  const { error } = schema.safeParse(json);
  if (error !== undefined) {
    throw new Error(
      `the answer to ${args.join(" ")} is not as declared: ${z.prettifyError(error)}\n${JSON.stringify(json)}`,
    );
  }
}
