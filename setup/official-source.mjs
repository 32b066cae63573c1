import { chmod, rename } from "node:fs/promises";
import { basename, join } from "node:path";
import { arrange, hashFile, requireSame, unpackTar } from "./archives.mjs";
import { fetchFile, fetchText } from "./download.mjs";
import { runTool } from "./run-tool.mjs";

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
 * @param {import("./parts.mjs").OfficialDownload} official
 * @param {import("./context.mjs").Context} context
 * @param {{ work: string, entry: string }} staging
 */
export async function installOfficial(part, official, context, { work, entry }) {
  const { folder, files, layout } = official;
  const file = files[/** @type {import("./parts.mjs").Platform} */ (context.platform)];
  if (file === undefined) throw new Error(`there is none for ${context.platform}`);

  const address = `${context.bases[folder.base]}${folder.path}/${file}`;
  const expected = await publishedChecksum(official, context, { file, address });
  if (expected === undefined) throw new Error(`${file} has no published checksum, so it was not fetched`);

  const fetched = join(work, basename(file));
  await fetchFile(address, fetched);
  requireSame(file, expected, await hashFile(fetched));
  if (layout === "program") {
    if (fetched.endsWith(".bz2")) await runTool("bzip2", ["-d", fetched], { env: context.env });
    await rename(fetched.replace(/\.bz2$/, ""), join(entry, "bin", part.command));
    await chmod(join(entry, "bin", part.command), 0o755);
    return;
  }
  const unpacked = join(work, "unpacked");
  await unpackTar(fetched, unpacked, context.env);
  await arrange(unpacked, entry, layout);
}

/**
 * @param {import("./parts.mjs").OfficialDownload} official
 * @param {import("./context.mjs").Context} context
 * @param {{ file: string, address: string }} download
 * @returns {Promise<string | undefined>}
 */
async function publishedChecksum({ checksums }, context, { file, address }) {
  if (checksums.kind === "beside") {
    const checksum = (await fetchText(`${address}.sha256`)).trim().split(/\s+/)[0] ?? "";
    return SHA256.test(checksum) ? checksum : undefined;
  }
  const published = await fetchText(context.bases[checksums.base] + checksums.path);
  return (checksums.kind === "list" ? checksumInList : checksumInRelease)(published, file);
}
