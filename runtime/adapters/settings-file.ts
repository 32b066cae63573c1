/** Finds and reads a settings file, `qdrant-dr.yaml`, and the secrets that it refers to. */
import { open, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { parseDocument } from "yaml";
import { parseRegionSettings, type RegionSettings } from "../domain/settings/region-settings.ts";
import type { SecretReference } from "../domain/settings/secret-reference.ts";
import { hasErrno } from "../errno.ts";
import { DrError } from "../errors.ts";
import type { SettingsFile } from "../ports/settings-file.ts";

export const settingsFileName = "qdrant-dr.yaml";
export const settingsVariable = "QDRANT_DR_SETTINGS";

/** Far beyond what people write, and no burden for the parser. */
const longestFileBytes = 1_048_576;
const longestSecretBytes = 65_536;

const howToMake = "make one with `qdrant-dr init`";

/**
 * @param named the file that an option names; otherwise the variable QDRANT_DR_SETTINGS does, or `qdrant-dr.yaml` is looked for here.
 * @returns undefined when none is named, and none is here.
 * @throws SETTING_INVALID
 */
export async function findSettingsFile(
  named: string | undefined,
  env: NodeJS.ProcessEnv,
): Promise<SettingsFile | undefined> {
  const path = settingsPath(named, env);
  const isNamed = named !== undefined || nameInVariable(env) !== undefined;
  if (!isNamed && !(await isThere(path))) return undefined;
  return new YamlSettingsFile(path, parseSettings(path, await readText(path)), env);
}

/**
 * @param path for messages.
 * @throws SETTING_INVALID
 */
export function parseSettings(path: string, text: string): RegionSettings {
  return parseRegionSettings(path, parseYaml(path, text));
}

/** Where the settings file is, or would be made. */
export function settingsPath(named: string | undefined, env: NodeJS.ProcessEnv): string {
  return resolve(named ?? nameInVariable(env) ?? settingsFileName);
}

function nameInVariable(env: NodeJS.ProcessEnv): string | undefined {
  return env[settingsVariable] || undefined;
}

class YamlSettingsFile implements SettingsFile {
  readonly path: string;
  readonly settings: RegionSettings;
  readonly #env: NodeJS.ProcessEnv;

  constructor(path: string, settings: RegionSettings, env: NodeJS.ProcessEnv) {
    this.path = path;
    this.settings = settings;
    this.#env = env;
  }

  async secret({ env, file }: SecretReference, setting: string): Promise<string> {
    const where = file === undefined ? `the variable ${env}` : `the file ${resolve(dirname(this.path), file)}`;
    const refuse = (problem: string, cause?: unknown) =>
      new DrError("SETTING_INVALID", `${setting} in ${this.path}: ${where} ${problem}`, {
        hint: file === undefined ? "set the variable to the secret" : fileHint(cause),
        cause,
      });
    const text =
      file === undefined
        ? this.#env[env ?? ""]
        : await readUpTo(resolve(dirname(this.path), file), longestSecretBytes).catch((cause) => {
            throw refuse(`cannot be read (${reasonOf(cause)})`, cause);
          });
    if (text === undefined) throw refuse("is not set");
    const secret = text.trim();
    if (secret === "") throw refuse("is empty");
    return secret;
  }
}

function fileHint(cause: unknown): string {
  if (!hasErrno(cause, "ENOENT")) return "let the file hold the secret alone, readable for who runs this";
  return "bring the file back, or name the place where it is now; where it is lost, docs/how-to/existing-qdrant.md says how to go on without it";
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    (error: unknown) => !hasErrno(error, "ENOENT"),
  );
}

async function readText(path: string): Promise<string> {
  try {
    return await readUpTo(path, longestFileBytes);
  } catch (cause) {
    throw new DrError("SETTING_INVALID", `the settings file ${path} cannot be read (${reasonOf(cause)})`, {
      hint: hasErrno(cause, "ENOENT") ? `correct its name, or ${howToMake}` : "check its path and its rights",
      cause,
    });
  }
}

async function readUpTo(path: string, limit: number): Promise<string> {
  const file = await open(path, "r");
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(limit + 1), 0, limit + 1, 0);
    if (bytesRead > limit) throw new Error(`it is larger than ${limit} bytes`);
    return buffer.toString("utf8", 0, bytesRead);
  } finally {
    await file.close();
  }
}

function reasonOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? (error as Error).message;
}

/** The parser's own messages repeat lines of the file, which may hold a secret in a wrong place. */
/** Far more than settings need; the parser takes more of its stack for each, and ends the process where that is full. */
const deepest = 64;
const longestText = 1024 * 1024;

function isTooDeep(text: string): boolean {
  let depth = 0;
  for (const [bracket] of text.matchAll(/[[\]{}]/g)) {
    depth = Math.max(0, depth + (bracket === "[" || bracket === "{" ? 1 : -1));
    if (depth > deepest) return true;
  }
  // A line that begins a sequence in a sequence in …, or is indented as far.
  return new RegExp(`^(?:[ \\t]*[-?:][ \\t]){${deepest}}|^[ \\t]{${4 * deepest}}`, "m").test(text);
}

function parseYaml(path: string, text: string): unknown {
  if (text.length > longestText || isTooDeep(text)) {
    throw new DrError("SETTING_INVALID", `the settings file ${path} is too long, or nested too deeply, for settings`, {
      hint: "see docs/reference/settings.md for what it holds",
    });
  }
  const document = parseDocument(text, { prettyErrors: true, logLevel: "silent" });
  const [problem] = document.errors;
  const refuse = (where: string, what: string) =>
    new DrError("SETTING_INVALID", `the settings file ${path} is not YAML${where} (${what})`, {
      hint: "put a value that begins with * or { in quotes, and indent with spaces",
    });
  if (problem !== undefined) throw refuse(` in line ${problem.linePos?.[0].line ?? "?"}`, problem.code);
  try {
    return document.toJS({ maxAliasCount: 10 });
  } catch {
    throw refuse("", "an alias leads nowhere, or there are too many");
  }
}
