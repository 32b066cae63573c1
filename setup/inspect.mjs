import { join } from "node:path";
import { createContext } from "./context.mjs";
import { packagesState } from "./npm-packages.mjs";
import { parts } from "./parts.mjs";
import { searchPath } from "./path-search.mjs";
import { findCached } from "./tool-cache.mjs";

/**
 * @typedef {object} Found
 * @property {import("./parts.mjs").PartId} id
 * @property {string} purpose
 * @property {string} required
 * @property {"ready" | "missing" | "unfit"} state unfit: something is there, and it does not do
 * @property {string} [version]
 * @property {"path" | "official download" | "registry"} [source]
 * @property {string} [location]
 * @property {string} [mend] how to get the part, when it is not ready
 */

/**
 * @param {import("./parts.mjs").ToolPart} part
 * @param {import("./context.mjs").Context} context
 * @returns {Promise<{ found: Found, bin?: string, passedOver: import("./path-search.mjs").Unfitting[] }>}
 * bin is the directory that must be first on PATH for a plain call to find the part
 */
export async function inspectTool(part, context) {
  const { id, purpose, required } = part;
  const about = { id, purpose, required };
  const { fitting, unfitting: passedOver } = await searchPath(part, context);
  if (fitting) {
    const { path: location, version, first } = fitting;
    /** @type {Found} */
    const found = { ...about, state: "ready", version, source: "path", location };
    return first ? { found, passedOver } : { found, bin: join(location, ".."), passedOver };
  }
  const cached = await findCached(part, context);
  if (cached) {
    const { path: location, version, source } = cached;
    return { found: { ...about, state: "ready", version, source, location }, bin: join(location, ".."), passedOver };
  }
  const [seen] = passedOver;
  if (!seen) return { found: { ...about, state: "missing", mend: part.mend }, passedOver };
  /** @type {Found} */
  const found = { ...about, state: "unfit", source: "path", location: seen.path, mend: part.mend };
  return { found: seen.version === undefined ? found : { ...found, version: seen.version }, passedOver };
}

/**
 * @param {import("./parts.mjs").PackagesPart} part
 * @param {import("./context.mjs").Context} context
 * @returns {Promise<Found>}
 */
export async function inspectPackages({ id, purpose, required, mend }, context) {
  const state = await packagesState(context);
  const about = { id, purpose, required, state };
  if (state === "missing") return { ...about, mend };
  /** @type {Found} */
  const found = { ...about, source: "registry", location: join(context.root, "node_modules") };
  return state === "ready" ? found : { ...found, mend };
}

/**
 * Tells which parts are there. Installs nothing.
 *
 * @param {import("./context.mjs").SetupOptions} [options]
 * @returns {Promise<Found[]>}
 */
export async function inspectParts(options) {
  const context = createContext(options);
  return Promise.all(
    parts.map(async (part) =>
      part.id === "packages" ? inspectPackages(part, context) : (await inspectTool(part, context)).found,
    ),
  );
}
