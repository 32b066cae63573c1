/** Runs the gate of a settings file in this process. */
import { dirname, join } from "node:path";
import { encodeGateSecrets, encodeGateSettings } from "../domain/roles/gate-environment.ts";
import { DrError } from "../errors.ts";
import type { SettingsFile } from "../ports/settings-file.ts";
import { readSettingsRegion } from "./settings-region.ts";

/** Returns when it has looked and listens. */
export async function runGate(file: SettingsFile): Promise<void> {
  const { gate, peer, region: name } = file.settings;
  const region = await readSettingsRegion(file, name, undefined);
  const [url, other] = region.qdrant.peers;
  if (gate === undefined || region.gate === undefined || url === undefined) throw new Error("the settings have a gate");
  if (other !== undefined || !region.qdrant.apiKey) {
    throw new DrError("NOT_SUPPORTED", "the gate stands in front of one URL of Qdrant, which has a key", {
      hint: "let `qdrant.url` be a load balancer of the cluster on the gate's machine, and give Qdrant a key: without one clients go around the gate",
    });
  }
  const control = peer && (await readSettingsRegion(file, peer.region, undefined)).control;
  Object.assign(
    process.env,
    encodeGateSettings({
      QDRANT_DR_GATE_HOST: gate.host,
      QDRANT_DR_GATE_PORT: gate.port,
      QDRANT_DR_GATE_REGION: name,
      QDRANT_DR_GATE_MODE: region.gate.mode,
      QDRANT_DR_GATE_LEASE_SECONDS: 15,
      QDRANT_DR_GATE_STATE: join(dirname(file.path), `gate-${name}.json`),
    }),
    encodeGateSecrets({
      QDRANT_DR_GATE_UPSTREAM: { url, apiKey: region.qdrant.apiKey },
      QDRANT_DR_GATE_CLIENT_KEY: await file.secret(gate.clientKey, "gate.clientKey"),
      QDRANT_DR_GATE_CONTROL_TOKEN: region.gate.controlToken,
      QDRANT_DR_GATE_CONTROL: region.control,
      QDRANT_DR_GATE_PEER_CONTROL: control,
    }),
  );
  // It is a program of its own, which begins when it is loaded.
  await import(new URL("../processes/gate.ts", import.meta.url).href);
}
