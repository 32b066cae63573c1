import { join } from "node:path";
import { compiledDir, createContext, withPath } from "./context.mjs";
import { makeReady } from "./make-ready.mjs";
import { BASE_PARTS, clusterParts, testParts } from "./parts.mjs";
import { runInstead } from "./run-tool.mjs";
import { reportError, SetupError, WRONG_USAGE } from "./setup-error.mjs";

const HINT = "node setup/run.mjs [--parts all|cluster|node,packages,…] -- <command> [arguments…]";
/** @type {Readonly<Record<string, readonly { id: import("./parts.mjs").PartId }[]>>} */
const groups = { all: testParts, cluster: clusterParts };

/**
 * @param {readonly string[]} words
 * @returns {{ partIds: readonly string[], command: string, args: string[] }}
 */
function readCommandLine(words) {
  const split = words.indexOf("--");
  const options = split === -1 ? words : words.slice(0, split);
  const [command, ...args] = split === -1 ? [] : words.slice(split + 1);
  const [name, value, ...more] = options;
  const understood = name === undefined || (name === "--parts" && value !== undefined && more.length === 0);
  if (command === undefined || !understood) {
    throw new SetupError("WRONG_USAGE", "the command line is not understood", HINT, WRONG_USAGE);
  }
  if (value === undefined) return { partIds: BASE_PARTS, command, args };
  const group = groups[value];
  return { partIds: group === undefined ? value.split(",") : group.map(({ id }) => id), command, args };
}

/** @returns {Promise<number>} */
async function main() {
  const { partIds, command, args } = readCommandLine(process.argv.slice(2));
  const { bins } = await makeReady(/** @type {import("./parts.mjs").PartId[]} */ (partIds));
  const context = createContext();
  const path = withPath(context.env, [...bins, join(context.root, "node_modules", ".bin")]);
  const compiled = compiledDir(context);
  // Tests start hundreds of processes, and each would compile the same again.
  const environment = compiled === null ? path : { NODE_COMPILE_CACHE: compiled, ...path };
  try {
    return await runInstead(command, args, environment);
  } catch (error) {
    const { code } = /** @type {NodeJS.ErrnoException} */ (error);
    throw new SetupError("COMMAND_NOT_FOUND", `${command} cannot be run (${code})`, HINT, WRONG_USAGE);
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  process.exitCode = reportError(error);
}
