import { createHash } from "node:crypto";
import { copyFile, mkdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { withPath } from "./context.mjs";
import { npmCommand } from "./npm-command.mjs";
import { timed } from "./progress.mjs";
import { runTool, ToolFailed } from "./run-tool.mjs";
import { explainDisk, messageOf, SetupError } from "./setup-error.mjs";
import { newStaging, putInPlace, sweepStaging } from "./staging.mjs";

const STAMP = ".qdrant-dr-packages.json";

/** @typedef {import("./context.mjs").Context} Context */

/**
 * @param {Context} context
 * @returns {Promise<string>} what the stamp of an installation of today's package-lock.json says
 */
async function stampNow({ root, platform }) {
  const lock = await readFile(join(root, "package-lock.json"));
  return `${JSON.stringify({ lockSha256: createHash("sha256").update(lock).digest("hex"), platform })}\n`;
}

/**
 * @param {Context} context
 * @returns {Promise<"ready" | "missing" | "unfit">}
 */
export async function packagesState(context) {
  const modules = join(context.root, "node_modules");
  try {
    await stat(modules);
  } catch {
    // Not there, or not to be seen: to npm it is all one.
    return "missing";
  }
  try {
    return (await readFile(join(modules, STAMP), "utf8")) === (await stampNow(context)) ? "ready" : "unfit";
  } catch {
    // Without our stamp it may be half-made by an interrupted run, or made from another lock file.
    return "unfit";
  }
}

/**
 * Installs in a directory beside the one in use and swaps them at the end, so that no run ever sees half of it.
 *
 * @param {Context} context
 * @param {readonly string[]} bins where the fitting Node is
 */
async function install(context, bins) {
  const { root } = context;
  const parent = join(root, ".qdrant-dr");
  await mkdir(parent, { recursive: true });
  await sweepStaging(parent);
  const staging = newStaging(parent, "packages");
  try {
    await mkdir(staging);
    for (const file of ["package.json", "package-lock.json"]) await copyFile(join(root, file), join(staging, file));
    try {
      await copyFile(join(root, ".npmrc"), join(staging, ".npmrc"));
    } catch (error) {
      if (/** @type {NodeJS.ErrnoException} */ (error).code !== "ENOENT") throw error;
    }
    const env = withPath(context.env, bins);
    const npm = npmCommand(env);
    const stamp = await stampNow(context);
    await runTool(npm.command, [...npm.args, "ci", "--include=dev", "--ignore-scripts", "--no-audit", "--no-fund"], {
      env,
      cwd: staging,
    });
    await mkdir(join(staging, "node_modules"), { recursive: true });
    await writeFile(join(staging, "node_modules", STAMP), stamp);
    await putInPlace(
      join(staging, "node_modules"),
      join(root, "node_modules"),
      async () => (await packagesState(context)) === "ready",
    );
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
}

/**
 * @param {Context} context
 * @param {readonly string[]} bins
 */
export async function installPackages(context, bins) {
  try {
    await timed(context.onProgress, "packages", "installing what package-lock.json names with npm ci", () =>
      install(context, bins),
    );
  } catch (error) {
    const directory = join(context.root, "node_modules");
    const explained = explainDisk(error, { what: "packages", directory, way: "move the checkout to another disk" });
    if (explained instanceof SetupError) throw explained;
    if (error instanceof ToolFailed && error.absent) {
      throw new SetupError(
        "NPM_MISSING",
        `packages: ${error.message}`,
        "install npm (it comes with Node) and try again",
      );
    }
    throw new SetupError(
      "NPM_FAILED",
      `packages: ${messageOf(error)}`,
      "check that npm reaches its registry (npm ping), then run the command again",
    );
  }
}
