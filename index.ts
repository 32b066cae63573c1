import * as pulumi from "@pulumi/pulumi";
import { readSecrets, readSettings } from "./components/read-settings.ts";
import { ProcessesRegion } from "./quickstart/components/processes-region.ts";
import { openStore } from "./runtime/adapters/stores/open-store.ts";
import type { Region } from "./runtime/domain/region.ts";
import { parseKubernetesSecrets, parseProcessesSecrets } from "./runtime/domain/settings/stack-settings.ts";
import { DrError } from "./runtime/errors.ts";
import { readEffectiveRole } from "./runtime/repository/control/effective-role.ts";

async function declareRegion(): Promise<pulumi.Output<Region>> {
  const settings = readSettings();
  if (settings.platform === "processes") {
    const control = openStore({ kind: "file", folder: settings.processes.control });
    const role = await readEffectiveRole(settings.region, control);
    const secrets = pulumi.secret(parseProcessesSecrets(settings.region, readSecrets()));
    return new ProcessesRegion(settings.region, { settings, secrets, ...role }).outputs;
  }
  const secrets = parseKubernetesSecrets(settings, readSecrets());
  const control = openStore({ kind: "s3", ...settings.stores.control, credentials: secrets.store });
  const peerControl = secrets.peer && openStore(secrets.peer.control, { idleMs: 3_000, attempts: 1 });
  const role = await readEffectiveRole(settings.region, control, peerControl);
  // Only here: loading the SDKs of clouds takes its time.
  const { cloudProviders } = await import("./components/cloud-providers.ts");
  const { KubernetesRegion } = await import("./components/kubernetes/kubernetes-region.ts");
  const args = { settings, secrets: pulumi.secret(secrets), peer: secrets.peer, ...role };
  return new KubernetesRegion(settings.region, args, { providers: cloudProviders(settings) }).outputs;
}

/** What the runtime reads of this stack, whatever it declares: see runtime/domain/region.ts. */
export const region = await declareRegion().catch((error: unknown) => {
  if (!(error instanceof DrError)) throw error;
  throw new pulumi.RunError(`${error.code}: ${error.message}${error.hint === undefined ? "" : ` (${error.hint})`}`);
});
