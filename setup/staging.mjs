import { randomBytes } from "node:crypto";
import { readdir, rename, rm, stat } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";

const PREFIX = ".staging-";
/** Each failed attempt means that another run put its result there in between, which soon ends. */
const MAX_ATTEMPTS = 5;
const DAY_MS = 24 * 3600 * 1000;

/**
 * A directory name that tells whose work it holds. Its place must be on the disk where the result will stand.
 *
 * @param {string} parent
 * @param {string} what
 * @returns {string}
 */
export function newStaging(parent, what) {
  return join(parent, `${PREFIX}${what}-${randomBytes(4).toString("hex")}-${process.pid}@${hostname()}`);
}

/**
 * @param {number} pid
 * @returns {boolean}
 */
function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it lives, and belongs to somebody else.
    return /** @type {NodeJS.ErrnoException} */ (error).code === "EPERM";
  }
}

/**
 * Removes what interrupted runs left: their process is gone, or they are more than a day old.
 *
 * @param {string} parent
 */
export async function sweepStaging(parent) {
  for (const name of await readdir(parent)) {
    const owner = /-(\d+)@(.+)$/.exec(name);
    if (!name.startsWith(PREFIX) || !owner) continue;
    const path = join(parent, name);
    try {
      const old = Date.now() - (await stat(path)).mtimeMs > DAY_MS;
      const orphaned = owner[2] === hostname() && !isAlive(Number(owner[1]));
      // A program that the dead run started may still be writing there for a moment.
      if (old || orphaned) await rm(path, { recursive: true, force: true, maxRetries: 5 });
    } catch {
      // Another run swept it first, or it is not ours to remove: it harms nobody where it is.
    }
  }
}

/**
 * Moves a finished directory to its place, also when another run was there first or something broken stands there.
 *
 * @param {string} finished
 * @param {string} target
 * @param {() => Promise<boolean>} targetIsGood
 */
export async function putInPlace(finished, target, targetIsGood) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await rename(finished, target);
      return;
    } catch (error) {
      const { code = "" } = /** @type {NodeJS.ErrnoException} */ (error);
      if (!["ENOTEMPTY", "EEXIST", "ENOTDIR"].includes(code) || attempt === MAX_ATTEMPTS) throw error;
    }
    if (await targetIsGood()) return;
    // Renamed first: whoever is using it keeps a whole directory until the last moment.
    const aside = `${finished}-replaced-${attempt}`;
    try {
      await rename(target, aside);
    } catch (error) {
      // Another run moved it away in the same moment: the place is free.
      if (/** @type {NodeJS.ErrnoException} */ (error).code !== "ENOENT") throw error;
    }
    await rm(aside, { recursive: true, force: true });
  }
}
