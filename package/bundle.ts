/** Bundles the programs of image and package, each into one file that needs Node and nothing else. */

import { readdir, readFile, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build, type Plugin } from "esbuild";

const checkout = fileURLToPath(new URL("..", import.meta.url));

/** By the name of their file. */
const programs = {
  "qdrant-dr": "runtime/main.ts",
  gate: "runtime/processes/gate.ts",
  "sealing-thread": "runtime/repository/content/sealing-thread.ts",
};

/** A program starts another by its place beside the source; bundled, all are in one folder. */
const besideEachOther: Plugin = {
  name: "beside-each-other",
  setup({ onLoad }) {
    onLoad({ filter: /[\\/]runtime[\\/].*\.ts$/ }, async ({ path }) => {
      const source = await readFile(path, "utf8");
      const contents = source.replace(/new URL\("([^"]+)\.ts", import\.meta\.url\)/g, (whole, target: string) => {
        const name = basename(target);
        return name in programs ? `new URL("./${name}.mjs", import.meta.url)` : whole;
      });
      return { contents, loader: "ts" };
    });
  },
};

/** Its models, nine tenths of all, are left out: only what reads kubeconfigs is used. */
const kubeconfigsOnly: Plugin = {
  name: "kubeconfigs-only",
  setup({ onResolve, resolve }) {
    onResolve({ filter: /^(@kubernetes\/client-node$|\.)/ }, async ({ path, pluginData, ...from }) => {
      const isClient = !path.startsWith(".") || from.importer.includes("/node_modules/@kubernetes/client-node/");
      if (!isClient || pluginData === "resolved") return undefined;
      return { ...(await resolve(path, { ...from, pluginData: "resolved" })), sideEffects: false };
    });
  },
};

/** @param folder gets a file a program, and the licences of everything that is in them. */
export async function bundle(folder: string): Promise<void> {
  const { metafile } = await build({
    absWorkingDir: checkout,
    entryPoints: Object.entries(programs).map(([out, source]) => ({ in: source, out })),
    outdir: folder,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node22.18",
    // The engine is in neither image nor package: regions are told by a settings file, or by files with outputs.
    external: ["@pulumi/*"],
    // Libraries that are CommonJS ask for Node's own modules with it.
    banner: { js: 'import { createRequire } from "node:module";const require = createRequire(import.meta.url);' },
    legalComments: "none",
    logLevel: "error",
    metafile: true,
    plugins: [besideEachOther, kubeconfigsOnly],
  });
  await writeFile(join(folder, "licences.txt"), await licencesOf(Object.keys(metafile.inputs)));
}

/** Whoever passes a library on passes its licence on. */
async function licencesOf(inputs: readonly string[]): Promise<string> {
  const folders = new Set(inputs.flatMap((input) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0] ?? []));
  const texts = [...folders].sort().map(async (folder) => {
    const { license, name, version } = JSON.parse(await readFile(join(checkout, folder, "package.json"), "utf8"));
    const files = (await readdir(join(checkout, folder))).filter((file) => /^(licen[cs]e|notice|copying)/i.test(file));
    const parts = await Promise.all(files.sort().map((file) => readFile(join(checkout, folder, file), "utf8")));
    return [`${name} ${version} (${license})`, ...parts.map((part) => part.trim())].join("\n\n");
  });
  return `${(await Promise.all(texts)).join(`\n\n${"=".repeat(80)}\n\n`)}\n`;
}
