/**
 * Puts the stand-ins where the engine looks for the plugins of the cloud providers: into a PULUMI_HOME of a test's own, in the
 * versions that the SDKs ask for. Programs run unchanged. What a stand-in accepts proves nothing about the real provider.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export function installStandIns(pulumiHome: string, names: readonly ("aws" | "kubernetes" | "random")[]): void {
  for (const name of names) {
    const manifest = new URL(`../../../node_modules/@pulumi/${name}/package.json`, import.meta.url);
    const { version } = JSON.parse(readFileSync(manifest, "utf8"));
    const folder = join(pulumiHome, "plugins", `resource-${name}-v${version}`);
    mkdirSync(folder, { recursive: true });
    const program = fileURLToPath(new URL(`./${name}.ts`, import.meta.url));
    const script = `#!/bin/sh\nSTAND_IN_VERSION=${version} exec node --disable-warning=ExperimentalWarning '${program}' "$@"\n`;
    writeFileSync(join(folder, `pulumi-resource-${name}`), script, { mode: 0o755 });
  }
}
