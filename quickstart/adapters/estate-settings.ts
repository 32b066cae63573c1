/** Settings and secrets of a practice estate: two regions on this machine and one public endpoint. */
import { randomBytes } from "node:crypto";
import { createServer, type Server } from "node:net";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import type { GivenProcessesSecrets, ProcessesStackSettings } from "../../runtime/domain/settings/stack-settings.ts";
import { newSigningKey, publicKeyOf, signingKeyFrom } from "../../runtime/domain/trust/signing-key.ts";
import { DrError } from "../../runtime/errors.ts";
import { storePorts } from "../domain/seaweedfs.ts";

export const estateRegions = ["primary", "standby"] as const;
export type EstateRegion = (typeof estateRegions)[number];

/** Ports below the range from which the kernel takes the local ends of connections, in blocks: one for each estate. */
const firstPort = 20_000;
const lastPort = 31_000;
const portsPerBlock = 32;

export interface EstateSettings {
  readonly stacks: Readonly<Record<EstateRegion, ProcessesStackSettings>>;
  readonly secrets: GivenProcessesSecrets;
  /** The offline recovery identity: opens every key when everything else is lost. */
  readonly recoveryIdentity: string;
}

export async function newEstateSettings(
  estate: string,
  folders: Readonly<Record<EstateRegion, string>>,
  endpointPort: number | undefined,
): Promise<EstateSettings> {
  const identity = await generateX25519Identity();
  const recoveryIdentity = await generateX25519Identity();
  const signing = newSigningKey();
  // All that a practice estate runs is one person's: one key signs for it, and the offline one where that is lost.
  const trust = {
    id: `practice-${estate}`,
    keys: [
      { name: "practice", key: publicKeyOf(signing) },
      { name: "offline", key: publicKeyOf(signingKeyFrom(recoveryIdentity)) },
    ],
    keyGeneration: 1,
  };
  const recipients = [await identityToRecipient(identity), await identityToRecipient(recoveryIdentity)];
  const first = await claimBlock(endpointPort);
  const portsFrom = (port: number) => ({
    gate: port,
    gateControl: port + 1,
    qdrant: port + 2,
    qdrantGrpc: port + 3,
    store: port + 4,
  });
  const ports = { primary: portsFrom(first + 2), standby: portsFrom(first + 6 + storePorts) };
  const port = endpointPort ?? first + 1;
  const upstreams = Object.fromEntries(
    estateRegions.map((region) => [region, `http://127.0.0.1:${ports[region].gate}`]),
  );
  const peerOf = (region: EstateRegion) => (region === "primary" ? "standby" : "primary");
  const settingsOf = (region: EstateRegion): ProcessesStackSettings => ({
    region,
    peer: peerOf(region),
    initialRole: region === "primary" ? "active" : "standby",
    objectives: { rtoMinutes: 30, rpoMinutes: 15 },
    trust,
    configuration: [],
    userData: [],
    infrastructure: { stacks: [] },
    platform: "processes",
    store: "s3",
    processes: {
      estate,
      folder: folders[region],
      control: `${folders[region]}/control`,
      peerControl: `${folders[peerOf(region)]}/control`,
      gate: { mode: "availability", leaseSeconds: 15 },
      ports: ports[region],
      endpoint: { port, runsHere: region === "standby", upstreams },
      recipients,
    },
  });
  return {
    stacks: { primary: settingsOf("primary"), standby: settingsOf("standby") },
    secrets: {
      qdrantApiKeys: { primary: newSecret(), standby: newSecret() },
      store: { accessKeyId: newSecret().slice(0, 20), secretAccessKey: newSecret() },
      clientKey: newSecret(),
      controlToken: newSecret(),
      identity,
      signing,
    },
    recoveryIdentity,
  };
}

function newSecret(): string {
  return randomBytes(24).toString("hex");
}

/**
 * The first port of a block on 127.0.0.1 of which nobody listens on any. This process listens on that one as long as it
 * lives: what is started later cannot choose the block before the estate's own servers listen. `spared` is in none.
 */
async function claimBlock(spared: number | undefined): Promise<number> {
  const blocks = Math.floor((lastPort - firstPort) / portsPerBlock);
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const first = firstPort + portsPerBlock * Math.floor(Math.random() * blocks);
    if (spared !== undefined && spared >= first && spared < first + portsPerBlock) continue;
    const claim = await listen(first);
    if (claim === undefined) continue;
    const others = await Promise.all(
      Array.from({ length: portsPerBlock - 1 }, (_, index) => listen(first + index + 1)),
    );
    for (const server of others) server?.close();
    if (others.every((server) => server !== undefined)) return first;
    claim.close();
  }
  throw new DrError(
    "PORT_TAKEN",
    `no ${portsPerBlock} neighbouring ports are free between ${firstPort} and ${lastPort}`,
  );
}

/** Undefined when another program has the port. Keeps no process alive. */
function listen(port: number): Promise<Server | undefined> {
  return new Promise((resolve) => {
    const server = createServer().unref();
    server.once("error", () => resolve(undefined));
    server.listen({ host: "127.0.0.1", port, exclusive: true }, () => resolve(server));
  });
}
