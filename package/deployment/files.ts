/** The files of deploy/, by their paths there: `npm run docs` writes them, and a test says when one is stale. */
import { composeFile } from "./compose.ts";
import { crontab } from "./crontab.ts";
import { environmentExample } from "./environment.ts";
import { settingsExample } from "./settings-example.ts";
import { systemdUnits } from "./systemd.ts";

export function deploymentFiles(): ReadonlyMap<string, string> {
  return new Map([
    ["compose.yaml", composeFile()],
    [".env.example", environmentExample()],
    ["qdrant-dr.example.yaml", settingsExample()],
    ["crontab", crontab()],
    ...[...systemdUnits()].map(([name, text]) => [`systemd/${name}`, text] as const),
  ]);
}
