import { dirname } from "node:path";
import { createContext, toolsDir, withPath } from "./context.mjs";
import { inspectPackages, inspectTool } from "./inspect.mjs";
import { installPackages } from "./npm-packages.mjs";
import { installOfficial } from "./official-source.mjs";
import { allParts, packages as packagesPart } from "./parts.mjs";
import { timed } from "./progress.mjs";
import { explainDisk, isFatal, messageOf, SetupError, WRONG_USAGE } from "./setup-error.mjs";
import { installInCache } from "./tool-cache.mjs";

/**
 * @typedef {import("./parts.mjs").PartId} PartId
 * @typedef {import("./parts.mjs").ToolPart} ToolPart
 * @typedef {import("./context.mjs").Context} Context
 * @typedef {import("./inspect.mjs").Found} Found
 */

/**
 * @param {readonly string[]} ids
 * @returns {(typeof allParts)[number][]}
 */
function wanted(ids) {
  const unknown = ids.find((id) => !allParts.some((part) => part.id === id));
  if (unknown !== undefined) {
    const known = allParts.map(({ id }) => id).join(", ");
    throw new SetupError("UNKNOWN_PART", `there is no part called ${unknown}`, `the parts are ${known}`, WRONG_USAGE);
  }
  // npm runs on Node, so the packages bring it with them.
  return allParts.filter(({ id }) => ids.includes(id) || (id === "node" && ids.includes("packages")));
}

/**
 * @param {ToolPart} part
 * @param {Context} context
 * @returns {{ name: import("./tool-cache.mjs").CacheSource, doing: string, install: Parameters<typeof installInCache>[3] }[]}
 */
function sourcesOf(part, context) {
  const { official } = part;
  /** @type {ReturnType<typeof sourcesOf>} */
  const downloads =
    official === undefined
      ? []
      : [
          {
            name: "official download",
            doing: "fetching the official download",
            install: (staging) => installOfficial(official, context, staging),
          },
        ];
  return [
    ...downloads,
    {
      name: "registry",
      doing: part.registry.doing,
      install: async (staging) => {
        const { platforms } = part.registry;
        if (platforms !== "any" && !platforms.includes(context.platform)) {
          throw new Error(`there is a package for ${platforms.join(", ")}, not for ${context.platform}`);
        }
        await part.registry.install(context, staging);
      },
    },
  ];
}

/**
 * @param {ToolPart} part
 * @param {Context} context
 * @returns {Promise<import("./tool-cache.mjs").CachedTool>}
 */
async function provide(part, context) {
  const subject = `${part.id} ${part.provides}`;
  /** @type {string[]} */
  const failures = [];
  let code = "PART_UNAVAILABLE";
  for (const { name, doing, install } of sourcesOf(part, context)) {
    try {
      return await timed(context.onProgress, subject, doing, () => installInCache(part, name, context, install));
    } catch (thrown) {
      const directory = toolsDir(context);
      const way = "point QDRANT_DR_CACHE at a directory elsewhere";
      const error = explainDisk(thrown, { what: subject, directory, way });
      if (isFatal(error)) throw error;
      if (error instanceof SetupError && error.code === "CHECKSUM_MISMATCH") code = error.code;
      failures.push(`${name}: ${messageOf(error)}`);
    }
  }
  const tried = ["PATH: nothing that fits", ...failures].map((line) => `\n  - ${line}`).join("");
  throw new SetupError(code, `${part.id} (${part.required}) is not to be had here. Tried:${tried}`, part.mend);
}

/**
 * Makes sure that parts are there: what is on PATH and fits, or else what was fetched before, or else fetches them.
 *
 * @param {readonly PartId[]} partIds
 * @param {import("./context.mjs").SetupOptions} [options]
 * @returns {Promise<{ bins: string[], parts: Found[] }>} bins: directories to put first on PATH, in this order
 */
export async function makeReady(partIds, options) {
  const context = createContext(options);
  /** @type {Found[]} */
  const ready = [];
  /** @type {string[]} */
  const cached = [];
  /** @type {string[]} */
  const beside = [];
  // Our own directories hold nothing but the part itself; one of the machine may hold other tools, so it comes later.
  const bins = () => [...new Set([...cached, ...beside])];

  for (const part of wanted(partIds)) {
    if (part.id === "packages") {
      if ((await inspectPackages(packagesPart, context)).state !== "ready") await installPackages(context, bins());
      ready.push(await inspectPackages(packagesPart, context));
      continue;
    }
    const { found, bin, passedOver } = await inspectTool(part, context);
    if (found.state === "ready") {
      if (bin !== undefined) (found.source === "path" ? beside : cached).push(bin);
      ready.push(found);
      continue;
    }
    for (const { path, reason } of passedOver) {
      context.onProgress({ kind: "note", text: `${part.id}: passing over ${path}: it ${reason}` });
    }
    const { path, version, source } = await provide(part, { ...context, env: withPath(context.env, bins()) });
    cached.push(dirname(path));
    const { id, purpose, required } = part;
    ready.push({ id, purpose, required, state: "ready", version, source, location: path });
  }
  return { bins: bins(), parts: ready };
}
