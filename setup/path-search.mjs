import { constants } from "node:fs";
import { access, realpath, stat } from "node:fs/promises";
import { basename, delimiter, dirname, join, sep } from "node:path";
import { toolsDir } from "./context.mjs";
import { runTool } from "./run-tool.mjs";
import { messageOf } from "./setup-error.mjs";
import { fits } from "./versions.mjs";

const PROBE_MS = 5_000;

/**
 * @typedef {{ path: string, version: string }} Fitting
 * @typedef {{ path: string, version?: string, reason: string }} Unfitting
 */

/**
 * @param {string} path
 * @returns {Promise<boolean>}
 */
async function isProgram(path) {
  try {
    await access(path, constants.X_OK);
    return (await stat(path)).isFile();
  } catch {
    // Not there, or not for us: either way it is no program that can be run.
    return false;
  }
}

/**
 * @param {string} name
 * @param {NodeJS.ProcessEnv} env
 * @returns {Promise<Map<string, string>>} every program of that name on PATH, the first first, each once, by real path
 */
async function programsOnPath(name, env) {
  /** @type {Map<string, string>} */
  const found = new Map();
  for (const directory of (env["PATH"] ?? "").split(delimiter)) {
    const path = join(directory, name);
    if (directory === "" || !(await isProgram(path))) continue;
    const real = await realpath(path);
    if (!found.has(real)) found.set(real, path);
  }
  return found;
}

/**
 * Runs a program to see whether it is what the part needs.
 *
 * @param {import("./parts.mjs").ToolPart} part
 * @param {string} path
 * @param {import("./context.mjs").Context} context
 * @returns {Promise<Fitting | Unfitting>}
 */
export async function probe(part, path, context) {
  const { running } = context;
  /** @type {string | undefined} */
  let version;
  if (part.id === "node" && running && (await realpath(path)) === (await realpath(running.execPath))) {
    version = running.version;
  } else {
    try {
      // Only the tool's own words are wanted, not news of newer versions.
      const env = { ...context.env, PULUMI_SKIP_UPDATE_CHECK: "true" };
      const output = await runTool(path, part.versionArgs, { env, timeoutMs: PROBE_MS });
      version = part.versionPattern.exec(output)?.[1];
    } catch (error) {
      return { path, reason: `does not run: ${messageOf(error)}` };
    }
  }
  if (version === undefined) return { path, reason: "does not tell its version" };
  if (!fits(version, part.range)) return { path, version, reason: `is version ${version}` };
  for (const companion of part.companions) {
    // A program looks beside itself, not beside the link that led to it.
    const beside = join(dirname(await realpath(path)), companion);
    if (await isProgram(beside)) continue;
    if ((await programsOnPath(companion, context.env)).size > 0) continue;
    return { path, version, reason: `lacks ${companion}` };
  }
  return { path, version };
}

/**
 * @param {import("./parts.mjs").ToolPart} part
 * @param {import("./context.mjs").Context} context
 * @returns {Promise<{ fitting?: Fitting & { first: boolean }, unfitting: Unfitting[] }>} first: a plain call finds it
 */
export async function searchPath(part, context) {
  const all = await programsOnPath(part.command, context.env);
  const [first] = all.values();
  // Tools of our own cache are on PATH when one of our commands runs another; the cache knows them better.
  const own = toolsDir(context) + sep;
  const { running } = context;
  if (part.id === "node" && running && basename(running.execPath) === part.command) {
    const real = await realpath(running.execPath);
    if (!all.has(real)) all.set(real, running.execPath);
  }

  /** @type {Unfitting[]} */
  const unfitting = [];
  for (const path of all.values()) {
    if (path.startsWith(own)) continue;
    const seen = await probe(part, path, context);
    if (!("reason" in seen)) return { fitting: { ...seen, first: path === first }, unfitting };
    unfitting.push(seen);
  }
  return { unfitting };
}
