import { existsSync } from "node:fs";

/**
 * The npm to call: the one that runs us, when it is npm that runs us, or else the one on PATH.
 *
 * @param {NodeJS.ProcessEnv} env
 * @returns {{ command: string, args: string[] }}
 */
export function npmCommand(env) {
  const running = env["npm_execpath"] ?? "";
  // Other package managers set the variable to themselves.
  if (running.endsWith("npm-cli.js") && existsSync(running)) return { command: "node", args: [running] };
  return { command: "npm", args: [] };
}
