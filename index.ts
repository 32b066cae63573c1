import * as pulumi from "@pulumi/pulumi";
import { readSecrets, readSettings } from "./components/read-settings.ts";
import { ProcessesRegion } from "./quickstart/components/processes-region.ts";
import type { StoreLimits } from "./runtime/adapters/stores/s3-store.ts";
import { openSignedStore } from "./runtime/composition/open-signed-store.ts";
import type { Region, StoreAddress } from "./runtime/domain/region.ts";
import type { PeerRegion } from "./runtime/domain/region-for-peer.ts";
import { parseKubernetesSecrets } from "./runtime/domain/settings/kubernetes-secrets.ts";
import { parseProcessesSecrets, type StackSettings } from "./runtime/domain/settings/stack-settings.ts";
import { DrError } from "./runtime/errors.ts";
import { readEffectiveRole } from "./runtime/repository/control/effective-role.ts";

interface Declared {
  readonly region: pulumi.Output<Region>;
  readonly peer?: pulumi.Output<PeerRegion>;
}

async function declareRegion(): Promise<Declared> {
  const settings = readSettings();
  if (settings.platform === "processes") {
    const control = signed(settings, settings.region, { kind: "file", folder: settings.processes.control });
    const role = await readEffectiveRole(settings.region, control);
    const secrets = pulumi.secret(parseProcessesSecrets(settings.region, readSecrets()));
    return { region: new ProcessesRegion(settings.region, { settings, secrets, ...role }).outputs };
  }
  const secrets = parseKubernetesSecrets(settings, readSecrets());
  const control = signed(settings, settings.region, {
    kind: "s3",
    ...settings.stores.control,
    credentials: secrets.store?.write,
  });
  const peerControl =
    secrets.peer && signed(settings, secrets.peer.region, secrets.peer.control, { idleMs: 3_000, attempts: 1 });
  const role = await readEffectiveRole(settings.region, control, peerControl);
  // Only here: loading the SDKs of clouds takes its time.
  const { cloudProviders } = await import("./components/cloud-providers.ts");
  const { KubernetesRegion } = await import("./components/kubernetes/kubernetes-region.ts");
  const args = { settings, secrets: pulumi.secret(secrets), peer: secrets.peer, ...role };
  const { forPeer, outputs } = new KubernetesRegion(settings.region, args, { providers: cloudProviders(settings) });
  return { region: outputs, peer: forPeer };
}

/** Who may say which region is active is an operator, whose key is in the settings. */
function signed({ trust }: StackSettings, region: string, address: StoreAddress, limits?: StoreLimits) {
  return openSignedStore({ region, keys: { recipients: [] }, trust }, "control", address, limits);
}

const declared = await declareRegion().catch((error: unknown) => {
  if (!(error instanceof DrError)) throw error;
  throw new pulumi.RunError(`${error.code}: ${error.message}${error.hint === undefined ? "" : ` (${error.hint})`}`);
});

/** What the runtime reads of this stack, whatever it declares: see runtime/domain/region.ts. */
export const region = declared.region;
/** What the other stack is given as `secrets.peer`: see runtime/domain/region-for-peer.ts. */
export const peer = declared.peer;
