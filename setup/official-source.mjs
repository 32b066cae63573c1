import { readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { arrange, hashFile, requireSame, unpackTar } from "./archives.mjs";
import { fetchFile } from "./download.mjs";

/** Lines of `<sha256>  <address>`, as sha256sum writes them. */
export const PINS = "setup/downloads.sha256";
const SHA256 = /^[0-9a-f]{64}$/;

/**
 * @param {string} list lines of `<sha256>  <file>`, as sha256sum writes them
 * @param {string} file
 * @returns {string | undefined}
 */
export function checksumInList(list, file) {
  for (const line of list.split("\n")) {
    const [checksum = "", name = ""] = line.trim().split(/\s+/);
    if (name.replace(/^\*/, "") === file && SHA256.test(checksum.toLowerCase())) return checksum.toLowerCase();
  }
  return undefined;
}

/**
 * Fetches a tool from its makers. Its hash stands in the repository: what was published with it could have been replaced with it. Without one
 * the file is not even asked for.
 *
 * @param {import("./parts.mjs").OfficialDownload} official
 * @param {import("./context.mjs").Context} context
 * @param {{ work: string, entry: string }} staging
 */
export async function installOfficial({ folder, files, layout }, context, { work, entry }) {
  const file = files[/** @type {import("./parts.mjs").Platform} */ (context.platform)];
  if (file === undefined) throw new Error(`there is none for ${context.platform}`);

  const address = `${folder}/${file}`;
  const pins = await readFile(join(context.root, PINS), "utf8");
  const expected = checksumInList(pins, address);
  if (expected === undefined) throw new Error(`${address} has no hash in ${PINS}, so it was not fetched`);

  const fetched = join(work, basename(file));
  await fetchFile(context.addressOf(address), fetched);
  requireSame(file, expected, await hashFile(fetched));
  const unpacked = join(work, "unpacked");
  await unpackTar(fetched, unpacked, context.env);
  await arrange(unpacked, entry, layout);
}
