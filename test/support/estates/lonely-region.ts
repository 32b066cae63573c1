/** A region whose outputs are right and whose servers do not answer: nothing listens on their ports. */
import { randomBytes, randomInt } from "node:crypto";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import type { Region } from "../../../runtime/domain/region.ts";
import { signing, trust } from "./test-trust.ts";

export async function lonelyRegion(region: string, folder: string): Promise<{ outputs: Region; secrets: string[] }> {
  const identity = await generateX25519Identity();
  const recipients = [await identityToRecipient(identity), await identityToRecipient(await generateX25519Identity())];
  const secret = () => randomBytes(24).toString("hex");
  const [apiKey, clientKey, controlToken, secretAccessKey] = [secret(), secret(), secret(), secret()] as const;
  const [qdrant, store, endpoint] = await closedPorts(3);
  const endpointUrl = `http://127.0.0.1:${endpoint}`;
  const control = join(folder, "control");
  mkdirSync(control, { recursive: true });
  return {
    outputs: {
      contract: 1,
      region,
      peer: "elsewhere",
      role: "active",
      epoch: 1,
      objectives: { rtoMinutes: 30, rpoMinutes: 15 },
      configuration: [],
      userData: [],
      infrastructure: { stacks: [] },
      qdrant: { peers: [`http://127.0.0.1:${qdrant}`], apiKey },
      repository: {
        kind: "s3",
        bucket: `${region}-repository`,
        region: "us-east-1",
        endpoint: `http://127.0.0.1:${store}`,
        credentials: { accessKeyId: "an-access-key-id", secretAccessKey },
      },
      control: { kind: "file", folder: control },
      keys: { recipients, identity, signing },
      trust,
      endpoint: { url: endpointUrl, clientKey, controlUrl: `${endpointUrl}/.qdrant-dr/route`, controlToken },
    },
    secrets: [apiKey, clientKey, controlToken, secretAccessKey, identity],
  };
}

/**
 * Different ports on 127.0.0.1 on which nobody listens. They are below the range from which the kernel takes the local
 * ends of connections, which would take one of them before it is used, and below those of practice estates.
 */
export async function closedPorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) {
    const port = randomInt(10_000, 20_000);
    const holder = createServer();
    try {
      await once(holder.listen(port, "127.0.0.1"), "listening");
    } catch {
      // Taken: another one.
      continue;
    }
    await once(holder.close(), "close");
    ports.add(port);
  }
  return [...ports];
}
