/** deploy/compose.yaml as Compose reads it: by Compose's own library, with an .env file beside it. */
import { execFileSync } from "node:child_process";
import { copyFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { environmentExample } from "../../../package/deployment/environment.ts";
import { checkout } from "./shown-commands.ts";

interface ComposeService {
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly cap_drop?: readonly string[];
  readonly depends_on?: Readonly<Record<string, object>>;
  readonly ports?: readonly { readonly host_ip: string; readonly published: string; readonly target: number }[];
}

interface ComposeProject {
  readonly services: Readonly<Record<string, ComposeService>>;
  readonly volumes: Readonly<Record<string, object>>;
}

/** What .env.example says when its secrets are filled in. */
export function filledEnvironment(given: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const shown = [...environmentExample().matchAll(/^([A-Z0-9_]+)=(.*)$/gm)];
  const values = shown.map(([, name = "", value = ""]) => [name, value === "" ? `the-${name.toLowerCase()}` : value]);
  return { ...Object.fromEntries(values), ...given };
}

/** @throws what Compose says of a file that it does not take. */
export function composeConfig(folder: string, env: Readonly<Record<string, string>>): ComposeProject {
  copyFileSync(join(checkout, "deploy/compose.yaml"), join(folder, "compose.yaml"));
  const lines = Object.entries(env).map(([name, value]) => `${name}=${value}\n`);
  writeFileSync(join(folder, ".env"), lines.join(""));
  // Nothing of this process' own environment.
  const options = { cwd: folder, env: { PATH: process.env["PATH"] }, encoding: "utf8" } as const;
  return JSON.parse(
    execFileSync("compose-config", ["compose.yaml"], { ...options, stdio: ["ignore", "pipe", "pipe"] }),
  );
}
