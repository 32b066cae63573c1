/**
 * The policy pack as a file that the engine starts. Users name the folder `policy`; the language host that is built from source
 * for these tests does not start packs.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export function executablePolicyPack(folder: string): string {
  const pack = fileURLToPath(new URL("../../../policy", import.meta.url));
  const runner = fileURLToPath(new URL("../../../node_modules/@pulumi/pulumi/cmd/run-policy-pack", import.meta.url));
  const file = join(folder, "policy-pack");
  const script = `#!/bin/sh\ncd '${pack}' && exec node --disable-warning=ExperimentalWarning '${runner}' "$1" .\n`;
  writeFileSync(file, script, { mode: 0o755 });
  return file;
}
