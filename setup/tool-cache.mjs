import { chmod, mkdir, open, readFile, rm, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { hashFile } from "./archives.mjs";
import { toolsDir } from "./context.mjs";
import { probe } from "./path-search.mjs";
import { newStaging, putInPlace, sweepStaging } from "./staging.mjs";

/**
 * @typedef {import("./parts.mjs").ToolPart} ToolPart
 * @typedef {import("./context.mjs").Context} Context
 * @typedef {"official download" | "registry"} CacheSource
 * @typedef {{ size: number, modifiedMs: number, sha256: string }} FileSeal
 * @typedef {{ version: string, source: CacheSource, files: Record<string, FileSeal> }} PartSeal
 * @typedef {{ path: string, version: string, source: CacheSource }} CachedTool
 */

const SEAL = "part.json";

/**
 * @param {ToolPart} part
 * @param {CacheSource} source
 * @param {Context} context
 */
function entryOf(part, source, context) {
  const short = source === "official download" ? "official" : "registry";
  return join(toolsDir(context), `${part.id}-${part.provides}-${short}`);
}

/**
 * @param {ToolPart} part
 * @returns {string[]}
 */
function sealedFiles(part) {
  return [part.command, ...part.companions].map((name) => `bin/${name}`);
}

/**
 * @param {string} entry
 * @param {ToolPart} part
 * @returns {Promise<boolean>} whether the entry is what was once put there
 */
async function isWhole(entry, part) {
  try {
    /** @type {PartSeal} */
    const seal = JSON.parse(await readFile(join(entry, SEAL), "utf8"));
    if (seal.version !== part.provides) return false;
    for (const file of sealedFiles(part)) {
      const sealed = seal.files[file];
      const { size, mtimeMs } = await stat(join(entry, file));
      if (sealed === undefined || sealed.size !== size) return false;
      // Hashing takes a tenth of a second; a file that nobody touched need not be read.
      if (sealed.modifiedMs !== mtimeMs && sealed.sha256 !== (await hashFile(join(entry, file)))) return false;
    }
    return true;
  } catch {
    // No seal, no file, or a seal that is not JSON: nothing here can be trusted, so the part is fetched anew.
    return false;
  }
}

/**
 * @param {ToolPart} part
 * @param {Context} context
 * @returns {Promise<CachedTool | undefined>}
 */
export async function findCached(part, context) {
  for (const source of /** @type {const} */ (["official download", "registry"])) {
    const entry = entryOf(part, source, context);
    if (!(await isWhole(entry, part))) continue;
    return { path: join(entry, "bin", part.command), version: part.provides, source };
  }
  return undefined;
}

/**
 * Lets `install` fill a directory of its own, tries what came out, and only then puts it where others look.
 *
 * @param {ToolPart} part
 * @param {CacheSource} source
 * @param {Context} context
 * @param {(staging: { work: string, entry: string }) => Promise<void>} install
 * @returns {Promise<CachedTool>}
 */
export async function installInCache(part, source, context, install) {
  const target = entryOf(part, source, context);
  await mkdir(dirname(target), { recursive: true });
  await sweepStaging(dirname(target));
  const staging = newStaging(dirname(target), basename(target));
  const [work, entry] = [join(staging, "work"), join(staging, "entry")];
  try {
    await mkdir(work, { recursive: true });
    await mkdir(join(entry, "bin"), { recursive: true });
    await install({ work, entry });
    await seal(part, source, context, entry);
    await putInPlace(entry, target, () => isWhole(target, part));
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
  return { path: join(target, "bin", part.command), version: part.provides, source };
}

/**
 * @param {ToolPart} part
 * @param {CacheSource} source
 * @param {Context} context
 * @param {string} entry
 */
async function seal(part, source, context, entry) {
  const found = await probe(part, join(entry, "bin", part.command), context);
  if ("reason" in found) throw new Error(`what came does not do: ${part.command} ${found.reason}`);
  /** @type {PartSeal} */
  const content = { version: part.provides, source, files: {} };
  for (const file of sealedFiles(part)) {
    const path = join(entry, file);
    await chmod(path, 0o755);
    // Size and time of change are trusted later, so what they stand for must be on the disk before the seal is.
    const handle = await open(path, "r");
    await handle.sync().finally(() => handle.close());
    const { size, mtimeMs } = await stat(path);
    content.files[file] = { size, modifiedMs: mtimeMs, sha256: await hashFile(path) };
  }
  await writeFile(join(entry, SEAL), `${JSON.stringify(content, null, 2)}\n`);
}
