import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { createContext, withPath } from "./context.mjs";
import { makeReady } from "./make-ready.mjs";
import { NODE_ENVIRONMENT, NODE_FLAGS } from "./node-flags.mjs";
import { BASE_PARTS } from "./parts.mjs";
import { runInstead } from "./run-tool.mjs";
import { reportError } from "./setup-error.mjs";

/** What Node says about running TypeScript is no news to whoever runs this command. */
function silenceExperimentalWarnings() {
  const listeners = process.listeners("warning");
  process.removeAllListeners("warning");
  process.on("warning", (warning) => {
    if (warning.name === "ExperimentalWarning") return;
    for (const listener of listeners) listener(warning);
  });
}

/** @returns {Promise<void>} */
async function main() {
  const { bins, parts } = await makeReady(BASE_PARTS);
  const { root, env, running } = createContext();
  const program = join(root, "runtime", "main.ts");
  const args = process.argv.slice(2);
  const node = parts.find(({ id }) => id === "node")?.location ?? process.execPath;
  process.env["PATH"] = withPath(env, bins)["PATH"];
  if (running && parts.some(({ id, version }) => id === "node" && version === running.version)) {
    // The Node that runs this is as good as the one that was found: no need to start a second.
    silenceExperimentalWarnings();
    await import("./compile-cache.mjs");
    process.argv = [process.execPath, program, ...args];
    await import(pathToFileURL(program).href);
    return;
  }
  process.exitCode = await runInstead(node, [...NODE_FLAGS, program, ...args], { ...process.env, ...NODE_ENVIRONMENT });
}

try {
  await main();
} catch (error) {
  process.exitCode = reportError(error);
}
