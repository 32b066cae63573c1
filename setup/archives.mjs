import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, readdir, rename } from "node:fs/promises";
import { dirname, join } from "node:path";
import { runTool } from "./run-tool.mjs";
import { SetupError } from "./setup-error.mjs";

/**
 * @param {string} path
 * @param {"sha256" | "sha512"} algorithm
 * @param {"hex" | "base64"} encoding
 * @returns {Promise<string>}
 */
export async function hashFile(path, algorithm = "sha256", encoding = "hex") {
  const hash = createHash(algorithm);
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk);
  return hash.digest(encoding);
}

/**
 * @param {string} what "qdrant.tar.gz"
 * @param {string} expected
 * @param {string} actual
 */
export function requireSame(what, expected, actual) {
  if (expected === actual) return;
  throw new SetupError(
    "CHECKSUM_MISMATCH",
    `${what} was refused: its checksum is ${actual}, and ${expected} was expected`,
    "something between here and the publisher changed the file: try another network",
  );
}

/**
 * @param {string} archive
 * @param {string} into
 * @param {NodeJS.ProcessEnv} env
 */
export async function unpackTar(archive, into, env) {
  await mkdir(into, { recursive: true });
  // The owners in the archive are people of another machine.
  await runTool("tar", ["-xzf", archive, "-C", into, "--no-same-owner"], { env });
}

/**
 * Moves what is wanted of an unpacked archive to where it belongs.
 *
 * @param {string} from
 * @param {string} to
 * @param {import("./parts.mjs").Layout} layout a path may start with `*`, the one folder that the archive holds
 */
export async function arrange(from, to, layout) {
  for (const [source, target] of layout) {
    const [only] = await readdir(from);
    const path = source.startsWith("*/") ? join(only ?? "", source.slice(2)) : source;
    await mkdir(dirname(join(to, target)), { recursive: true });
    await rename(join(from, path), join(to, target));
  }
}
