import { join } from "node:path";
import { arrange, hashFile, requireSame, unpackTar } from "./archives.mjs";
import { fetchFile, fetchText } from "./download.mjs";

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
 * @param {string} release a release as the GitHub API describes it
 * @param {string} file
 * @returns {string | undefined}
 */
export function checksumInRelease(release, file) {
  /** @type {{ assets?: { name?: string, digest?: string | null }[] }} */
  const { assets = [] } = JSON.parse(release);
  const digest = assets.find(({ name }) => name === file)?.digest ?? "";
  const [algorithm, checksum = ""] = digest.split(":");
  return algorithm === "sha256" && SHA256.test(checksum) ? checksum : undefined;
}

/**
 * Fetches a tool from its makers. The checksum comes first: without one the file is not even asked for.
 *
 * @param {import("./parts.mjs").ToolPart} part
 * @param {import("./context.mjs").Context} context
 * @param {{ work: string, entry: string }} staging
 */
export async function installOfficial(part, context, { work, entry }) {
  const { folder, files, checksums, layout } = part.official;
  const file = files[/** @type {import("./parts.mjs").Platform} */ (context.platform)];
  if (file === undefined) throw new Error(`there is none for ${context.platform}`);

  const published = await fetchText(context.bases[checksums.base] + checksums.path);
  const expected = (checksums.kind === "list" ? checksumInList : checksumInRelease)(published, file);
  if (expected === undefined) throw new Error(`${file} has no published checksum, so it was not fetched`);

  const archive = join(work, file);
  await fetchFile(`${context.bases[folder.base]}${folder.path}/${file}`, archive);
  requireSame(file, expected, await hashFile(archive));
  const unpacked = join(work, "unpacked");
  await unpackTar(archive, unpacked, context.env);
  await arrange(unpacked, entry, layout);
}
