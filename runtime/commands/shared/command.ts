import type { Command } from "commander";
import { InvalidArgumentError } from "commander";
import { z } from "zod";
import type { Deps } from "../../composition/deps.ts";
import { type DataKind, dataKinds } from "../../domain/recovery-points/recovery-point.ts";
import type { DrError } from "../../errors.ts";

/** The answer of a command: an object for programs and the same as text for people. */
export interface Answer<Json extends object> {
  readonly json: Json;
  readonly text: string;
  /** The text has colours of its own, and everything else in it is printable already. */
  readonly isStyled?: boolean;
  /** What was asked for is done, and is not all that it should be: the command ends with this error's code. */
  readonly shortcoming?: DrError | undefined;
}

export interface CommandDefinition<Options, Json extends object> {
  /** The command as a user types it: `status`, or `failover plan`. */
  readonly name: string;
  readonly summary: string;
  /** What its group does where no command of it is named. */
  readonly isDefaultOfGroup?: boolean;
  /** The schema of the object that `--json` prints when the command succeeds. */
  readonly answer: z.ZodType<Json>;
  /** Options, and what `--help` adds: examples and exit codes. */
  configure(command: Command): Command;
  run(deps: Deps, options: Options): Promise<Answer<Json>>;
}

/** The options of every command that is about regions. */
export function regionOptions(command: Command): Command {
  return settingsOption(command)
    .option("--estate <id>", "a practice estate that was kept (`quickstart --keep`)")
    .option(
      "--outputs <path>",
      "read the region from this file (`pulumi stack output region --json --show-secrets`), or <stack>.json in this folder",
    )
    .option("--identity-file <file>", "open the keys with the offline recovery identity in this file")
    .option(
      "--signing-key-file <file>",
      "sign with your own key in this file; otherwise with the one in QDRANT_DR_SIGNING_KEY, or the region's",
    );
}

/** The option of commands that are about the region of a settings file. */
export function settingsOption(command: Command): Command {
  return command.option(
    "--settings <file>",
    "the settings file; when left out, QDRANT_DR_SETTINGS names it, or it is qdrant-dr.yaml here",
  );
}

export function exitCodesHelp(...codes: readonly (readonly [number, string])[]): string {
  const rows = [[0, "done"] as const, ...codes, [130, "interrupted"] as const];
  return `\nExit codes:\n${rows.map(([code, meaning]) => `  ${String(code).padStart(3)}  ${meaning}`).join("\n")}`;
}

export function parseNumber(text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && Number.isFinite(value) && value >= 0) return value;
  throw new InvalidArgumentError("It must be a number, 0 or more.");
}

/** Names separated by commas, none of them empty; one that is given twice counts once. */
export function parseNames(text: string): string[] {
  const names = text.split(",").map((name) => name.trim());
  if (names.every((name) => name !== "")) return [...new Set(names)];
  throw new InvalidArgumentError("It must be names separated by commas.");
}

export function parseKinds(text: string): DataKind[] {
  return parseNames(text).map((name) => {
    const kind = dataKinds.find((known) => known === name);
    if (kind === undefined) throw new InvalidArgumentError(`It must be of ${dataKinds.join(", ")}.`);
    return kind;
  });
}

/** As answers and ids show times: in UTC, or with the difference from it. */
export function parseInstant(text: string): Date {
  const { data } = z.iso.datetime({ offset: true }).or(z.iso.date()).safeParse(text);
  if (data !== undefined) return new Date(data);
  throw new InvalidArgumentError("It must be a time, such as 2026-01-31T12:00:00Z, or a day, such as 2026-01-31.");
}

export function parsePort(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1024 && value <= 65_535) return value;
  throw new InvalidArgumentError("It must be a port, 1024 to 65535.");
}

/** Also 0, which takes any that is free. */
export function parseAnyPort(text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && Number.isInteger(value) && value >= 0 && value <= 65_535) return value;
  throw new InvalidArgumentError("It must be a port, 0 to 65535.");
}
