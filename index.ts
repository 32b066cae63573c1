import * as pulumi from "@pulumi/pulumi";
import { ProcessesRegion } from "./components/processes-region.ts";
import { readSecrets, readSettings } from "./components/read-settings.ts";
import { openStore } from "./runtime/adapters/stores/open-store.ts";
import { DrError } from "./runtime/errors.ts";
import { readEffectiveRole } from "./runtime/repository/effective-role.ts";

async function declareRegion(): Promise<ProcessesRegion> {
  const settings = readSettings();
  if (settings.platform === "kubernetes") {
    throw new DrError(
      "NOT_SUPPORTED",
      "platform kubernetes: this version checks its settings and declares nothing yet",
      {
        hint: "set platform to processes for an estate on one machine",
      },
    );
  }
  const control = openStore({ kind: "file", folder: settings.processes.control });
  const { epoch, role } = await readEffectiveRole(settings.region, control);
  return new ProcessesRegion(settings.region, { settings, secrets: readSecrets(), role, epoch });
}

/** What the runtime reads of this stack, whatever it declares: see runtime/domain/estate/region.ts. */
export const region = await declareRegion().then(
  ({ outputs }) => outputs,
  (error: unknown) => {
    if (!(error instanceof DrError)) throw error;
    throw new pulumi.RunError(`${error.code}: ${error.message}${error.hint === undefined ? "" : ` (${error.hint})`}`);
  },
);
