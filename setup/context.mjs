import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { stderrProgress } from "./progress.mjs";

/**
 * @typedef {object} Context everything that the outside world decides, in one place
 * @property {string} root the checkout of qdrant-dr
 * @property {string} cacheDir
 * @property {NodeJS.ProcessEnv} env
 * @property {string} platform
 * @property {(address: string) => string} addressOf where an official download is asked for
 * @property {{ execPath: string, version: string } | null} running the Node that runs this, which counts as being there
 * @property {(event: import("./progress.mjs").ProgressEvent) => void} onProgress
 *
 * @typedef {Partial<Context>} SetupOptions
 */

/**
 * @param {NodeJS.ProcessEnv} env
 * @returns {string}
 */
function defaultCacheDir(env) {
  const own = env["QDRANT_DR_CACHE"];
  if (own) return resolve(own);
  return join(env["XDG_CACHE_HOME"] || join(env["HOME"] || homedir(), ".cache"), "qdrant-dr");
}

/**
 * @param {SetupOptions} [options]
 * @returns {Context}
 */
export function createContext(options = {}) {
  const env = options.env ?? process.env;
  return {
    root: options.root ?? fileURLToPath(new URL("..", import.meta.url)).replace(/\/$/, ""),
    cacheDir: options.cacheDir ?? defaultCacheDir(env),
    env,
    platform: options.platform ?? `${process.platform}-${process.arch}`,
    addressOf: options.addressOf ?? ((address) => address),
    running:
      options.running === undefined ? { execPath: process.execPath, version: process.versions.node } : options.running,
    onProgress: options.onProgress ?? stderrProgress(),
  };
}

/**
 * @param {Context} context
 * @returns {string}
 */
export function toolsDir(context) {
  return join(context.cacheDir, "tools");
}

/**
 * Where Node keeps what it compiled; null while there is no cache: a first look at a machine leaves nothing on it.
 *
 * @param {Context} context
 * @returns {string | null}
 */
export function compiledDir({ cacheDir }) {
  return existsSync(cacheDir) ? join(cacheDir, "compiled") : null;
}

/**
 * The environment with some directories first on PATH.
 *
 * @param {NodeJS.ProcessEnv} env
 * @param {readonly string[]} bins
 * @returns {NodeJS.ProcessEnv}
 */
export function withPath(env, bins) {
  return { ...env, PATH: [...bins, env["PATH"] ?? ""].filter((entry) => entry !== "").join(":") };
}
