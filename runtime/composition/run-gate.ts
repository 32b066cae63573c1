/** Runs the gate of a settings file in this process, and lets keys count that change while it runs. */
import { dirname, join, resolve } from "node:path";
import { qdrantPorts } from "../domain/network/ports.ts";
import type { Region } from "../domain/region.ts";
import { encodeGateSecrets, encodeGateSettings } from "../domain/roles/gate-environment.ts";
import { addressOf, urlOf } from "../domain/server-address.ts";
import { gateLimitVariables } from "../domain/settings/gate-limits.ts";
import type { RegionSettings } from "../domain/settings/region-settings.ts";
import type { SecretReference } from "../domain/settings/secret-reference.ts";
import { DrError, toDrError } from "../errors.ts";
import type { SettingsFile } from "../ports/settings-file.ts";
import { readSettingsRegion } from "./settings-region.ts";

type JournalOfSettings = NonNullable<NonNullable<RegionSettings["gate"]>["journal"]>;
type Variables = Readonly<Record<string, string | undefined>>;

const readAgainMs = 5_000;
/** Of no consequence where there is no lease. */
const gateLeaseSeconds = 15;

/**
 * Returns when it has looked and listens, with what ends it.
 * @param again reads the settings file anew.
 */
export async function runGate(
  file: SettingsFile,
  again: () => Promise<SettingsFile | undefined>,
): Promise<() => Promise<void>> {
  let present = await variablesOf(file);
  Object.assign(process.env, present);
  // It is a program of its own, which begins when it is loaded.
  const program = (await import(new URL("../processes/gate.ts", import.meta.url).href)) as {
    readonly changeKeys: (environment: Variables) => void;
    readonly end: () => Promise<void>;
  };
  const watch = () => {
    const timer = setTimeout(async () => {
      try {
        const read = await again();
        const next = read && (await variablesOf(read));
        if (next !== undefined && JSON.stringify(next) !== JSON.stringify(present)) {
          program.changeKeys({ ...process.env, ...next });
          present = next;
        }
      } catch (error) {
        process.stderr.write(`the gate goes on with the keys that it has: ${toDrError(error).message}\n`);
      }
      watch();
    }, readAgainMs);
    timer.unref();
  };
  watch();
  return program.end;
}

async function variablesOf(file: SettingsFile): Promise<Variables> {
  const { gate, peer, region: name } = file.settings;
  const region = await readSettingsRegion(file, name);
  const [url, another] = region.qdrant.peers;
  if (gate === undefined || region.gate === undefined || url === undefined) throw new Error("the settings have a gate");
  if (another !== undefined || !region.qdrant.apiKey) {
    throw new DrError("NOT_SUPPORTED", "the gate stands in front of one URL of Qdrant, which has a key", {
      hint: "let `qdrant.url` be a load balancer of the cluster on the gate's machine, and give Qdrant a key: without one clients go around the gate",
    });
  }
  const other = peer && (await readSettingsRegion(file, peer.region));
  const optional = async (reference: SecretReference | undefined, setting: string) =>
    reference && (await file.secret(reference, setting));
  return {
    ...encodeGateSettings({
      ...listeningOf(gate, dirname(file.path)),
      ...gateLimitVariables(gate.limits),
      QDRANT_DR_GATE_OTHER_KEYS: gate.otherKeys,
      QDRANT_DR_GATE_REGION: name,
      QDRANT_DR_GATE_MODE: region.gate.mode,
      QDRANT_DR_GATE_LEASE_SECONDS: region.gate.lease?.seconds ?? gateLeaseSeconds,
      QDRANT_DR_GATE_STATE: join(dirname(file.path), `gate-${name}.json`),
      QDRANT_DR_GATE_PEER: peer?.region,
      QDRANT_DR_GATE_JOURNAL: gate.journal && other && journalOf(gate.journal, region, other, dirname(file.path)),
    }),
    ...encodeGateSecrets({
      QDRANT_DR_GATE_UPSTREAM: { url, grpcUrl: gate.qdrantGrpc ?? grpcBeside(url), apiKey: region.qdrant.apiKey },
      QDRANT_DR_GATE_CLIENT_KEY: await file.secret(gate.clientKey, "gate.clientKey"),
      QDRANT_DR_GATE_READ_ONLY_KEY: await optional(gate.readOnlyKey, "gate.readOnlyKey"),
      QDRANT_DR_GATE_ADMINISTRATOR_KEY: await optional(gate.administratorKey, "gate.administratorKey"),
      QDRANT_DR_GATE_CONTROL_TOKEN: region.gate.controlToken,
      QDRANT_DR_GATE_CONTROL: region.control,
      QDRANT_DR_GATE_PEER_CONTROL: other?.control,
      QDRANT_DR_GATE_JOURNAL_STORE: gate.journal && other?.repository,
      QDRANT_DR_GATE_TRUST: region.trust,
      QDRANT_DR_GATE_WITNESS: region.gate.lease?.witness,
      QDRANT_DR_GATE_SIGNING_KEY: region.keys.signing,
    }),
  };
}

/** Either region opens it: the other one follows it, and this one may be brought back by it. */
function journalOf({ bufferMegabytes, ...journal }: JournalOfSettings, own: Region, other: Region, folder: string) {
  return {
    ...journal,
    bufferBytes: bufferMegabytes * 1024 * 1024,
    spool: join(folder, `gate-${own.region}-journal`),
    recipients: [...new Set([...own.keys.recipients, ...other.keys.recipients])],
  };
}

/** Files are named as seen from the settings file. */
function listeningOf(gate: NonNullable<RegionSettings["gate"]>, folder: string) {
  const { controlHost, controlPort, grpcPort, host, port, tls } = gate;
  return {
    QDRANT_DR_GATE_HOST: host,
    QDRANT_DR_GATE_PORT: port,
    QDRANT_DR_GATE_GRPC_PORT: grpcPort,
    QDRANT_DR_GATE_CONTROL_HOST: controlHost,
    QDRANT_DR_GATE_CONTROL_PORT: controlPort,
    QDRANT_DR_GATE_TLS: tls && { certificate: resolve(folder, tls.certificate), key: resolve(folder, tls.key) },
  };
}

/** Where Qdrant takes gRPC unless it was told otherwise. */
function grpcBeside(url: string): string {
  return urlOf({ ...addressOf(url), port: qdrantPorts.grpc, prefix: "" });
}
