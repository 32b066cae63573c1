import { fileURLToPath } from "node:url";
import * as pulumi from "@pulumi/pulumi";
import { retentionOf } from "../../runtime/domain/history/retention.ts";
import type { Region } from "../../runtime/domain/region.ts";
import type { EpochRecord, Role } from "../../runtime/domain/roles/epoch.ts";
import { gateControlPath, gateHealthPath } from "../../runtime/domain/roles/gate.ts";
import { encodeGateSecrets, encodeGateSettings } from "../../runtime/domain/roles/gate-environment.ts";
import type { ProcessesSecrets, ProcessesStackSettings } from "../../runtime/domain/settings/stack-settings.ts";
import type { Trust } from "../../runtime/domain/trust/trust.ts";
import { storeArguments, storePorts, storeReadyUrls, storeSockets } from "../domain/seaweedfs.ts";
import { Bucket } from "./bucket.ts";
import { Process } from "./process.ts";
import { Route } from "./route.ts";

export interface ProcessesRegionArgs {
  readonly settings: ProcessesStackSettings;
  readonly secrets: pulumi.Output<ProcessesSecrets>;
  /** The role by the epoch records, and the newest of them. */
  readonly role: Role;
  readonly epoch: EpochRecord;
}

const storeRegion = "us-east-1";
const endpointProgram = fileURLToPath(new URL("../processes/endpoint.ts", import.meta.url));
const gateProgram = fileURLToPath(new URL("../../runtime/processes/gate.ts", import.meta.url));
const runNode = ["--disable-warning=ExperimentalWarning"];

/**
 * A region on this machine: a Qdrant with a key of its own and the gate in front of it, an S3 store with the repository's
 * bucket, in one of the regions the public endpoint, and its route while this region is active.
 */
export class ProcessesRegion extends pulumi.ComponentResource {
  /** What the runtime needs to know of the region. */
  readonly outputs: pulumi.Output<Region>;

  constructor(name: string, args: ProcessesRegionArgs, opts?: pulumi.ComponentResourceOptions) {
    super("qdrant-dr:index:ProcessesRegion", name, {}, opts);
    const { epoch, role, secrets, settings } = args;
    const { endpoint, estate, folder, ports } = settings.processes;
    const child = { parent: this };
    const processOf = (what: string) => ({ estate, name: `${settings.region}-${what}`, folder: `${folder}/${what}` });
    const qdrantUrl = `http://127.0.0.1:${ports.qdrant}`;
    const gateUrl = `http://127.0.0.1:${ports.gate}`;
    const endpointUrl = `http://127.0.0.1:${endpoint.port}`;
    const repository = {
      kind: "s3" as const,
      bucket: `${settings.region}-repository`,
      region: storeRegion,
      endpoint: `http://127.0.0.1:${ports.store}`,
      credentials: secrets.store,
    };

    new Process(
      `${name}-qdrant`,
      {
        ...processOf("qdrant"),
        command: "qdrant",
        args: [],
        env: qdrantEnvironment(settings, secrets),
        ports: [ports.qdrant, ports.qdrantGrpc],
        readyUrls: [`${qdrantUrl}/readyz`],
      },
      child,
    );
    const store = new Process(
      `${name}-store`,
      {
        ...processOf("store"),
        command: "weed",
        args: storeArguments(`${folder}/store`, ports.store),
        env: { AWS_ACCESS_KEY_ID: secrets.store.accessKeyId, AWS_SECRET_ACCESS_KEY: secrets.store.secretAccessKey },
        ports: Array.from({ length: storePorts }, (_, offset) => ports.store + offset),
        readyUrls: storeReadyUrls(ports.store),
        leftovers: storeSockets(ports.store),
      },
      child,
    );
    new Bucket(`${name}-repository`, repository, { parent: this, dependsOn: [store] });
    new Process(
      `${name}-gate`,
      {
        ...processOf("gate"),
        command: "node",
        args: [...runNode, gateProgram],
        env: gateEnvironment(settings, secrets, qdrantUrl),
        ports: [ports.gate, ports.gateControl],
        readyUrls: [`${gateUrl}${gateHealthPath}`],
      },
      child,
    );
    const endpointProcess = endpoint.runsHere
      ? new Process(
          `${name}-endpoint`,
          {
            ...processOf("endpoint"),
            command: "node",
            args: [...runNode, endpointProgram],
            env: endpointEnvironment(settings, secrets),
            ports: [endpoint.port],
            readyUrls: [`${endpointUrl}/.qdrant-dr/health`],
          },
          child,
        )
      : undefined;
    const control = { controlUrl: `${endpointUrl}/.qdrant-dr/route`, controlToken: secrets.controlToken };
    if (role === "active") {
      const dependsOn = endpointProcess === undefined ? [] : [endpointProcess];
      new Route(
        `${name}-route`,
        { ...control, region: settings.region, epoch: epoch.epoch },
        { parent: this, dependsOn },
      );
    }

    this.outputs = pulumi.output({
      contract: 1 as const,
      region: settings.region,
      peer: settings.peer,
      objectives: settings.objectives,
      retention: retentionOf(settings.retention, { isLocal: settings.initialRole === "active" }),
      role,
      epoch: epoch.epoch,
      qdrant: {
        peers: [qdrantUrl],
        apiKey: secrets.qdrantApiKey,
      },
      repository,
      control: { kind: "file" as const, folder: settings.processes.control },
      keys: { recipients: settings.processes.recipients, identity: secrets.identity, signing: secrets.signing },
      trust: trustOf(settings),
      configuration: settings.configuration,
      userData: settings.userData,
      infrastructure: settings.infrastructure,
      gate: {
        url: gateUrl,
        controlUrls: [`http://127.0.0.1:${ports.gateControl}${gateControlPath}`],
        controlToken: secrets.controlToken,
        mode: settings.processes.gate.mode,
        lease: leaseOf(settings),
      },
      endpoint: { url: endpointUrl, clientKey: secrets.clientKey, ...control },
    });
    this.registerOutputs({ outputs: this.outputs });
  }
}

function qdrantEnvironment({ processes }: ProcessesStackSettings, secrets: pulumi.Output<ProcessesSecrets>) {
  return {
    QDRANT__SERVICE__HOST: "127.0.0.1",
    QDRANT__SERVICE__HTTP_PORT: String(processes.ports.qdrant),
    QDRANT__SERVICE__GRPC_PORT: String(processes.ports.qdrantGrpc),
    QDRANT__SERVICE__API_KEY: secrets.qdrantApiKey,
    QDRANT__STORAGE__STORAGE_PATH: `${processes.folder}/qdrant/storage`,
    QDRANT__STORAGE__SNAPSHOTS_PATH: `${processes.folder}/qdrant/snapshots`,
    QDRANT__TELEMETRY_DISABLED: "true",
    QDRANT__LOG_LEVEL: "WARN",
  };
}

function gateEnvironment(
  settings: ProcessesStackSettings,
  secrets: pulumi.Output<ProcessesSecrets>,
  qdrantUrl: string,
) {
  const { control, folder, gate, peerControl, ports } = settings.processes;
  const storeAt = (place: string) => ({ kind: "file" as const, folder: place });
  const plain = encodeGateSettings({
    QDRANT_DR_GATE_HOST: "127.0.0.1",
    QDRANT_DR_GATE_PORT: ports.gate,
    QDRANT_DR_GATE_CONTROL_PORT: ports.gateControl,
    QDRANT_DR_GATE_REGION: settings.region,
    QDRANT_DR_GATE_MODE: gate.mode,
    QDRANT_DR_GATE_LEASE_SECONDS: gate.leaseSeconds,
    QDRANT_DR_GATE_STATE: `${folder}/gate/seen.json`,
    QDRANT_DR_GATE_PEER: settings.peer,
  });
  return secrets.apply((known) => ({
    ...plain,
    ...encodeGateSecrets({
      QDRANT_DR_GATE_UPSTREAM: {
        url: qdrantUrl,
        grpcUrl: `http://127.0.0.1:${ports.qdrantGrpc}`,
        apiKey: known.qdrantApiKey,
      },
      QDRANT_DR_GATE_CLIENT_KEY: known.clientKey,
      QDRANT_DR_GATE_CONTROL_TOKEN: known.controlToken,
      QDRANT_DR_GATE_CONTROL: storeAt(control),
      QDRANT_DR_GATE_PEER_CONTROL: peerControl === undefined ? undefined : storeAt(peerControl),
      QDRANT_DR_GATE_WITNESS: gate.witness === undefined ? undefined : storeAt(gate.witness),
      QDRANT_DR_GATE_TRUST: trustOf(settings),
      QDRANT_DR_GATE_SIGNING_KEY: known.signing,
    }),
  }));
}

function trustOf({ trust: { id, keys } }: ProcessesStackSettings): Trust {
  return { id, keys };
}

function leaseOf({ processes }: ProcessesStackSettings) {
  const { leaseSeconds, witness } = processes.gate;
  return witness === undefined
    ? undefined
    : { witness: { kind: "file" as const, folder: witness }, seconds: leaseSeconds };
}

function endpointEnvironment({ processes }: ProcessesStackSettings, secrets: pulumi.Output<ProcessesSecrets>) {
  const { endpoint, folder } = processes;
  return {
    QDRANT_DR_ENDPOINT_PORT: String(endpoint.port),
    QDRANT_DR_ENDPOINT_CLIENT_KEY: secrets.clientKey,
    QDRANT_DR_ENDPOINT_CONTROL_TOKEN: secrets.controlToken,
    QDRANT_DR_ENDPOINT_STATE: `${folder}/endpoint/route.json`,
    // The gates' key is the clients' own: the endpoint has no key to any Qdrant.
    QDRANT_DR_ENDPOINT_UPSTREAMS: secrets.clientKey.apply((apiKey) =>
      JSON.stringify(
        Object.fromEntries(Object.entries(endpoint.upstreams).map(([region, url]) => [region, { url, apiKey }])),
      ),
    ),
  };
}
