/** Settings and secrets of an embedded estate: two regions on this machine and one public endpoint. */
import { randomBytes } from "node:crypto";
import { createServer } from "node:net";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import { storePorts } from "../domain/seaweedfs.ts";
import type { ProcessesSecrets, ProcessesSettings } from "../domain/stack-settings.ts";
import { DrError } from "../errors.ts";

export const estateRegions = ["primary", "standby"] as const;
export type EstateRegion = (typeof estateRegions)[number];

/** Ports below the range from which the kernel takes the local ends of connections. */
const firstPort = 20_000;
const lastPort = 31_000;

export interface EstateSettings {
  readonly stacks: Readonly<Record<EstateRegion, ProcessesSettings>>;
  readonly secrets: ProcessesSecrets;
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
  const recipients = [await identityToRecipient(identity), await identityToRecipient(recoveryIdentity)];
  const taken = new Set<number>();
  const ports = {
    primary: {
      qdrant: await freePorts(1, taken),
      qdrantGrpc: await freePorts(1, taken),
      store: await freePorts(storePorts, taken),
    },
    standby: {
      qdrant: await freePorts(1, taken),
      qdrantGrpc: await freePorts(1, taken),
      store: await freePorts(storePorts, taken),
    },
  };
  const port = endpointPort ?? (await freePorts(1, taken));
  const upstreams = Object.fromEntries(
    estateRegions.map((region) => [region, `http://127.0.0.1:${ports[region].qdrant}`]),
  );
  const settingsOf = (region: EstateRegion): ProcessesSettings => ({
    region,
    peer: region === "primary" ? "standby" : "primary",
    initialRole: region === "primary" ? "active" : "standby",
    objectives: { rtoMinutes: 30, rpoMinutes: 15 },
    platform: "processes",
    store: "s3",
    processes: {
      estate,
      folder: folders[region],
      control: `${folders[region]}/control`,
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
    },
    recoveryIdentity,
  };
}

function newSecret(): string {
  return randomBytes(24).toString("hex");
}

/** The first of `count` neighbouring ports on 127.0.0.1 that nobody listens on now. */
async function freePorts(count: number, taken: Set<number>): Promise<number> {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const first = firstPort + Math.floor(Math.random() * (lastPort - firstPort - count));
    const ports = Array.from({ length: count }, (_, offset) => first + offset);
    if (ports.some((port) => taken.has(port))) continue;
    const free = await Promise.all(ports.map(isFree));
    if (!free.every(Boolean)) continue;
    for (const port of ports) taken.add(port);
    return first;
  }
  throw new DrError("PORT_TAKEN", `no ${count} neighbouring ports are free between ${firstPort} and ${lastPort}`);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ host: "127.0.0.1", port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}
