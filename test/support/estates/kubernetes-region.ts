/** A region in a cluster, declared under Pulumi's mocks. */
import * as pulumi from "@pulumi/pulumi";
import type { Region } from "../../../runtime/domain/region.ts";
import type { PeerRegion } from "../../../runtime/domain/region-for-peer.ts";
import type { EpochRecord, Role } from "../../../runtime/domain/roles/epoch.ts";
import { parseKubernetesSecrets } from "../../../runtime/domain/settings/kubernetes-secrets.ts";
import { type KubernetesStackSettings, parseStackSettings } from "../../../runtime/domain/settings/stack-settings.ts";
import { awsOutputs } from "../stacks/aws-outputs.ts";
import { known, RecordedResources, type Registration } from "../stacks/recorded-resources.ts";
import { trust } from "./test-trust.ts";

const digest = `sha256:${"0".repeat(63)}1`;
export const productImage = `registry.example/qdrant-dr@${digest}`;
export const qdrantImage = `docker.io/qdrant/qdrant@${digest}`;
export const apiKeyOf = (name: string) => `secret-api-key-${name}`;
export const identity = "AGE-SECRET-KEY-1SECRET";
export const clientKey = "secret-key-of-all-clients";
export const storeSecret = "secret-secret-access-key";
const readSecret = "secret-of-readers-key";
const epoch: EpochRecord = { epoch: 3, active: "prod", reason: "initial", run: "r", at: "2026-01-01T00:00:00.000Z" };

export interface DeclareOptions {
  readonly role?: Role;
  readonly epoch?: EpochRecord;
  /** Settings besides the least that there can be, and those of `kubernetes`. */
  readonly settings?: Record<string, unknown>;
  readonly kubernetes?: Record<string, unknown>;
  readonly qdrant?: Record<string, unknown>;
  readonly hasPeer?: boolean;
  readonly secrets?: Record<string, unknown>;
}

/** Settings of a region with folders beside its Qdrant, on volumes of its cluster. */
export const folderSettings = {
  settings: {
    configuration: [{ name: "app", path: "/srv/app/conf" }],
    userData: [{ name: "files", path: "/srv/files" }],
  },
  kubernetes: {
    replicate: { everySeconds: 10, folders: true },
    claims: [
      { claim: "app-conf", path: "/srv/app" },
      { claim: "files", path: "/srv/files" },
    ],
  },
} satisfies DeclareOptions;

/** Objects of two namespaces that captures read. */
export const capturedObjects = {
  kubernetes: {
    namespaces: ["search", "apps"],
    kinds: [
      { apiVersion: "apps/v1", kind: "StatefulSet" },
      { apiVersion: "networking.k8s.io/v1", kind: "NetworkPolicy" },
      { apiVersion: "v1", kind: "Endpoints" },
      { apiVersion: "v1", kind: "Namespace" },
    ],
  },
};

export interface DeclaredRegion {
  readonly name: string;
  readonly outputs: Region;
  readonly isSecret: boolean;
  readonly resources: readonly Registration[];
}

export class RegionDeclarer {
  readonly #resources = new RecordedResources("prod", {
    outputsOf: (args) =>
      args.type === "random:index/randomPassword:RandomPassword"
        ? { result: pulumi.secret(apiKeyOf(args.name)) }
        : awsOutputs(args),
  });

  /** Declares a region, and waits until each of its resources is registered. */
  async declare(options: DeclareOptions = {}): Promise<DeclaredRegion> {
    // Not before the mocks are there.
    const { KubernetesRegion } = await import("../../../components/kubernetes/kubernetes-region.ts");
    const settings = settingsOf(options);
    const from = this.#resources.count;
    const name = `prod-${from}`;
    const secrets = parseKubernetesSecrets(settings, {
      identity,
      clientKey,
      ...(settings.store === "aws"
        ? {}
        : {
            store: {
              write: { accessKeyId: "secret-access-key-id", secretAccessKey: storeSecret },
              read: { accessKeyId: "reading-access-key-id", secretAccessKey: readSecret },
              peerWrite: { accessKeyId: "foreign-access-key-id", secretAccessKey: readSecret },
            },
          }),
      ...((options.hasPeer ?? true) ? { peer: peerOutputs } : {}),
      ...options.secrets,
    });
    const component = new KubernetesRegion(name, {
      settings,
      secrets: pulumi.secret(secrets),
      peer: secrets.peer,
      role: options.role ?? "active",
      epoch: options.epoch ?? epoch,
    });
    const resources = await this.#resources.since(from);
    const outputs = await known(component.outputs);
    return { name, outputs, isSecret: await pulumi.isSecret(component.outputs), resources };
  }
}

function settingsOf({ kubernetes, qdrant, settings }: DeclareOptions): KubernetesStackSettings {
  const parsed = parseStackSettings("prod", {
    peer: "dr",
    trust,
    initialRole: "active",
    platform: "kubernetes",
    store: "s3",
    stores: {
      repository: { bucket: "prod-points", region: "eu-1", endpoint: "https://s3.example:9000" },
      control: { bucket: "prod-control", region: "eu-1", endpoint: "https://s3.example:9000" },
    },
    kubernetes: {
      namespace: "search",
      image: productImage,
      qdrant: { image: qdrantImage, storageGib: 10, ...qdrant },
      replicate: { everySeconds: 10 },
      recipients: ["age1operational", "age1recovery"],
      ...kubernetes,
    },
    ...settings,
  });
  if (parsed.platform !== "kubernetes") throw new Error("not of a cluster");
  return parsed;
}

/** Settings of a region whose store is AWS's. */
export function awsSettings(
  cluster: Record<string, unknown>,
  more: Record<string, unknown> = {},
): Record<string, unknown> {
  const keyIn = (region: string) => `arn:aws:kms:${region}:111122223333:key/mrk-1`;
  return {
    store: "aws",
    stores: {
      repository: { bucket: "prod-points", region: "eu-central-1" },
      control: { bucket: "prod-control", region: "eu-central-1" },
    },
    aws: {
      account: "111122223333",
      region: "eu-central-1",
      keyArn: keyIn("eu-central-1"),
      cluster,
      peer: { repository: "dr-points", control: "dr-control", keyArn: keyIn("eu-west-1") },
      ...more,
    },
  };
}

const peerOutputs: PeerRegion = {
  contract: 1,
  region: "dr",
  peer: "prod",
  role: "standby",
  epoch: 3,
  objectives: { rtoMinutes: 30, rpoMinutes: 15 },
  qdrant: { peers: ["https://qdrant-0.dr.example:16333"], apiKey: "secret-api-key-of-dr" },
  repository: { kind: "s3", bucket: "dr-points", region: "eu-2" },
  control: { kind: "s3", bucket: "dr-control", region: "eu-2" },
  keys: { recipients: ["age1operational", "age1recovery"] },
  madeFor: "prod",
  trust,
  configuration: [],
  userData: [],
  infrastructure: { stacks: [] },
};

/**
 * The inputs of an object, without the digests of Secrets: keys carry the name of the declared region, which differs from
 * declaration to declaration.
 */
export function withoutDigests(object: Pick<Registration, "inputs"> | undefined): string {
  return JSON.stringify(object?.inputs ?? null).replaceAll(
    /("qdrant-dr\/(regions|environment)":)"[0-9a-f]{64}"/g,
    "$1",
  );
}
