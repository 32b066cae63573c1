/** Makes the folder that is published to npm: `node package/build.ts <folder>`; `npm pack` of it is the package. */
import { copyFile, cp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import manifest from "../package.json" with { type: "json" };
import { bundle } from "./bundle.ts";

const checkout = fileURLToPath(new URL("..", import.meta.url));

const [, , folder] = process.argv;
if (folder === undefined) throw new Error("usage: node package/build.ts <folder>");
await rm(folder, { recursive: true, force: true });
await mkdir(join(folder, "bin"), { recursive: true });
await bundle(join(folder, "dist"));
await copyFile(join(checkout, "package/main.mjs"), join(folder, "dist/main.mjs"));
await copyFile(join(checkout, "package/qdrant-dr"), join(folder, "bin/qdrant-dr"));
await copyFile(join(checkout, "LICENSE"), join(folder, "LICENSE"));
await cp(join(checkout, "deploy"), join(folder, "deploy"), { recursive: true });
await writeFile(join(folder, "README.md"), excerptOf(await readFile(join(checkout, "README.md"), "utf8")));
const { description, engines, license, name, type, version } = manifest;
const published = {
  ...{ name, version, description, license, type, engines },
  keywords: ["qdrant", "backup", "disaster-recovery", "restore", "vector-database"],
  bin: { "qdrant-dr": "bin/qdrant-dr" },
};
await writeFile(join(folder, "package.json"), `${JSON.stringify(published, undefined, 2)}\n`);

/** What it is and does: the README's head and first section, without pictures and links that lead into the checkout. */
function excerptOf(readme: string): string {
  const about = readme.split(/^(?=## )/m).slice(0, 2);
  return about
    .join("")
    .replaceAll(/```mermaid\n.*?```\n/gs, "")
    .replaceAll(/\[([^\]]+)\]\((?!https?:)[^)]*\)/g, "$1")
    .trimEnd()
    .concat("\n");
}
