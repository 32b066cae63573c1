/**
 * Proves which resources a region declares, with which inputs, parents and secrets. It does not prove that a provider
 * accepts them: test/engine does.
 */
import * as pulumi from "@pulumi/pulumi";
import { expect } from "chai";
import { regionSchema } from "../../runtime/domain/region.ts";
import type { EpochRecord, Role } from "../../runtime/domain/roles/epoch.ts";
import type { ProcessesSecrets, ProcessesStackSettings } from "../../runtime/domain/settings/stack-settings.ts";
import { signing, trust } from "../support/estates/test-trust.ts";
import { known, RecordedResources, type Registration } from "../support/stacks/recorded-resources.ts";

const secrets: ProcessesSecrets = {
  qdrantApiKey: "secret-qdrant-key",
  store: { accessKeyId: "secret-access-key-id", secretAccessKey: "secret-secret-access-key" },
  clientKey: "secret-client-key-of-all",
  controlToken: "secret-control-token",
  identity: "AGE-SECRET-KEY-1TEST",
  signing,
};
const secretTexts = [
  ...Object.values(secrets.store),
  ...[secrets.qdrantApiKey, secrets.clientKey, secrets.controlToken, secrets.identity, secrets.signing],
];
const epoch: EpochRecord = { epoch: 3, active: "primary", reason: "initial", run: "r", at: "2026-01-01T00:00:00.000Z" };

function settingsOf(region: string, runsHere: boolean): ProcessesStackSettings {
  return {
    region,
    peer: region === "primary" ? "standby" : "primary",
    initialRole: "standby",
    objectives: { rtoMinutes: 30, rpoMinutes: 15 },
    trust: { ...trust, keyGeneration: 1 },
    configuration: [],
    userData: [],
    infrastructure: { stacks: [] },
    platform: "processes",
    store: "s3",
    processes: {
      estate: "e1",
      folder: `/estates/e1/${region}`,
      control: `/estates/e1/${region}/control`,
      peerControl: `/estates/e1/${region === "primary" ? "standby" : "primary"}/control`,
      gate: { mode: "availability", leaseSeconds: 15 },
      ports: { gate: 20_021, gateControl: 20_009, qdrant: 20_000, qdrantGrpc: 20_001, store: 20_010 },
      endpoint: {
        port: 20_020,
        runsHere,
        upstreams: { primary: "http://127.0.0.1:20021", standby: "http://127.0.0.1:20051" },
      },
      recipients: ["age1operational", "age1recovery"],
    },
  };
}

describe("ProcessesRegion", () => {
  let resources: RecordedResources;
  let ProcessesRegion: typeof import("../../quickstart/components/processes-region.ts").ProcessesRegion;

  before(async () => {
    resources = new RecordedResources("primary");
    ({ ProcessesRegion } = await import("../../quickstart/components/processes-region.ts"));
  });

  /** Declares a region, waits until each of its resources is registered, and answers them with its outputs. */
  async function declare(region: string, { role, runsHere }: { role: Role; runsHere: boolean }) {
    const from = resources.count;
    const name = `${region}-${from}`;
    const component = new ProcessesRegion(name, {
      settings: settingsOf(region, runsHere),
      secrets: pulumi.secret(secrets),
      role,
      epoch,
    });
    const declared = await resources.since(from);
    const outputs = await known(component.outputs);
    const isSecret = await pulumi.isSecret(component.outputs);
    return { name, outputs, isSecret, resources: declared };
  }

  /** Type and name of each child, without the name of the parent, which each must begin with. */
  function childrenOf({ name, resources }: Awaited<ReturnType<typeof declare>>): string[] {
    const [component, ...children] = resources;
    expect(component).to.include({ type: "qdrant-dr:index:ProcessesRegion", name });
    for (const child of children) {
      expect(child.name.startsWith(`${name}-`), child.name).to.equal(true);
      expect(child.parent, child.name).to.equal(component?.urn);
    }
    return children.map((child) => `${child.type.split(":").at(-1)} ${child.name.slice(name.length + 1)}`).sort();
  }

  it("an active region without the endpoint: Qdrant, gate, store, bucket, route, each a child named after it", async () => {
    const declared = await declare("primary", { role: "active", runsHere: false });
    const children = ["Bucket repository", "Process gate", "Process qdrant", "Process store", "Route route"];
    expect(childrenOf(declared)).to.deep.equal(children);
  });

  for (const role of ["standby", "fenced"] as const) {
    it(`a ${role} region with the endpoint: the endpoint's process, and no route`, async () => {
      const declared = await declare("standby", { role, runsHere: true });
      const children = ["Bucket repository", "Process endpoint", "Process gate", "Process qdrant", "Process store"];
      expect(childrenOf(declared)).to.deep.equal(children);
      expect(declared.outputs).to.include({ role });
    });
  }

  it("an active region with the endpoint: the route waits for the endpoint's process", async () => {
    const declared = await declare("standby", { role: "active", runsHere: true });
    const processes = ["endpoint", "gate", "qdrant", "store"].map((process) => `Process ${process}`);
    expect(childrenOf(declared)).to.deep.equal(["Bucket repository", ...processes, "Route route"]);
    expect(one(declared, "route").dependencies).to.deep.equal([one(declared, "endpoint").urn]);
  });

  it("Qdrant: on loopback, with a key of its own, its data on the region's disk, nothing secret in its arguments", async () => {
    const { inputs, secretInputs } = one(await declare("primary", { role: "active", runsHere: false }), "qdrant");
    expect(inputs).to.deep.equal({
      estate: "e1",
      name: "primary-qdrant",
      command: "qdrant",
      args: [],
      env: {
        QDRANT__SERVICE__HOST: "127.0.0.1",
        QDRANT__SERVICE__HTTP_PORT: "20000",
        QDRANT__SERVICE__GRPC_PORT: "20001",
        QDRANT__SERVICE__API_KEY: secrets.qdrantApiKey,
        QDRANT__STORAGE__STORAGE_PATH: "/estates/e1/primary/qdrant/storage",
        QDRANT__STORAGE__SNAPSHOTS_PATH: "/estates/e1/primary/qdrant/snapshots",
        QDRANT__TELEMETRY_DISABLED: "true",
        QDRANT__LOG_LEVEL: "WARN",
      },
      folder: "/estates/e1/primary/qdrant",
      ports: [20_000, 20_001],
      readyUrls: ["http://127.0.0.1:20000/readyz"],
      leftovers: [],
    });
    expect(secretInputs).to.deep.equal(["env"]);
  });

  it("the store: all of its eight ports and its sockets are its own, and its keys are secret", async () => {
    const { inputs, secretInputs } = one(await declare("primary", { role: "active", runsHere: false }), "store");
    expect(inputs["ports"]).to.deep.equal([20_010, 20_011, 20_012, 20_013, 20_014, 20_015, 20_016, 20_017]);
    const args = inputs["args"] as string[];
    expect(args).to.include.members(["-dir=/estates/e1/primary/store", "-ip.bind=127.0.0.1", "-s3.port=20010"]);
    const given = args.flatMap((arg) => /port(?:\.grpc)?=([1-9]\d*)$/.exec(arg)?.[1] ?? []).map(Number);
    expect(given.sort()).to.deep.equal(inputs["ports"]);
    expect(inputs["env"]).to.deep.equal({
      AWS_ACCESS_KEY_ID: secrets.store.accessKeyId,
      AWS_SECRET_ACCESS_KEY: secrets.store.secretAccessKey,
    });
    expect(secretInputs).to.deep.equal(["env"]);
    expect(inputs["leftovers"]).to.include("/tmp/seaweedfs-s3-20010.sock").and.have.length(6);
  });

  it("the bucket: made when its store runs, kept with its points when the stack is destroyed, its keys secret", async () => {
    const declared = await declare("primary", { role: "active", runsHere: false });
    const { dependencies, inputs, retainOnDelete, secretInputs } = one(declared, "repository");
    expect(inputs).to.deep.equal({
      kind: "s3",
      bucket: "primary-repository",
      region: "us-east-1",
      endpoint: "http://127.0.0.1:20010",
      credentials: secrets.store,
    });
    expect(secretInputs).to.deep.equal(["credentials"]);
    expect(dependencies).to.deep.equal([one(declared, "store").urn]);
    expect(retainOnDelete).to.equal(true);
  });

  it("the gate: alone with the key of its region's Qdrant, sees both control stores, keeps what it saw on this region's disk", async () => {
    const { inputs, secretInputs } = one(await declare("primary", { role: "active", runsHere: false }), "gate");
    expect(inputs["env"]).to.deep.equal({
      QDRANT_DR_GATE_HOST: "127.0.0.1",
      QDRANT_DR_GATE_PORT: "20021",
      QDRANT_DR_GATE_CONTROL_PORT: "20009",
      QDRANT_DR_GATE_REGION: "primary",
      QDRANT_DR_GATE_CLIENT_KEY: secrets.clientKey,
      QDRANT_DR_GATE_CONTROL_TOKEN: secrets.controlToken,
      QDRANT_DR_GATE_UPSTREAM: JSON.stringify({
        url: "http://127.0.0.1:20000",
        grpcUrl: "http://127.0.0.1:20001",
        apiKey: secrets.qdrantApiKey,
      }),
      QDRANT_DR_GATE_CONTROL: '{"kind":"file","folder":"/estates/e1/primary/control"}',
      QDRANT_DR_GATE_PEER_CONTROL: '{"kind":"file","folder":"/estates/e1/standby/control"}',
      QDRANT_DR_GATE_MODE: "availability",
      QDRANT_DR_GATE_LEASE_SECONDS: "15",
      QDRANT_DR_GATE_STATE: "/estates/e1/primary/gate/seen.json",
      QDRANT_DR_GATE_PEER: "standby",
      QDRANT_DR_GATE_TRUST: JSON.stringify(trust),
      QDRANT_DR_GATE_SIGNING_KEY: signing,
    });
    expect(inputs).to.deep.include({
      ports: [20_021, 20_009],
      readyUrls: ["http://127.0.0.1:20021/.qdrant-dr/health"],
    });
    expect(secretInputs).to.deep.equal(["env"]);
  });

  it("the endpoint: knows each region's gate, has no key to any Qdrant, keeps its route on this region's disk, all secrets in its environment", async () => {
    const { inputs, secretInputs } = one(await declare("standby", { role: "standby", runsHere: true }), "endpoint");
    const { QDRANT_DR_ENDPOINT_UPSTREAMS: upstreams = "", ...env } = inputs["env"] as Record<string, string>;
    expect(env).to.deep.equal({
      QDRANT_DR_ENDPOINT_PORT: "20020",
      QDRANT_DR_ENDPOINT_CLIENT_KEY: secrets.clientKey,
      QDRANT_DR_ENDPOINT_CONTROL_TOKEN: secrets.controlToken,
      QDRANT_DR_ENDPOINT_STATE: "/estates/e1/standby/endpoint/route.json",
    });
    expect(JSON.parse(upstreams)).to.deep.equal({
      primary: { url: "http://127.0.0.1:20021", apiKey: secrets.clientKey },
      standby: { url: "http://127.0.0.1:20051", apiKey: secrets.clientKey },
    });
    expect(inputs).to.deep.include({ ports: [20_020], readyUrls: ["http://127.0.0.1:20020/.qdrant-dr/health"] });
    expect(secretInputs).to.deep.equal(["env"]);
  });

  it("the route: this region in the newest epoch, its token secret", async () => {
    const { inputs, secretInputs } = one(await declare("primary", { role: "active", runsHere: false }), "route");
    expect(inputs).to.deep.equal({
      controlUrl: "http://127.0.0.1:20020/.qdrant-dr/route",
      controlToken: secrets.controlToken,
      region: "primary",
      epoch: 3,
    });
    expect(secretInputs).to.deep.equal(["controlToken"]);
  });

  it("no resource has a secret in an input that is not secret", async () => {
    const { resources } = await declare("standby", { role: "active", runsHere: true });
    expect(resources.filter(({ secretInputs }) => secretInputs.length > 0)).to.have.length(6);
    for (const { inputs, name, secretInputs } of resources) {
      const plain = Object.entries(inputs).filter(([property]) => !secretInputs.includes(property));
      for (const secret of secretTexts) expect(JSON.stringify(plain), name).not.to.contain(secret);
    }
  });

  it("the outputs are secret as a whole, and keep the contract of every region", async () => {
    const { isSecret, outputs } = await declare("primary", { role: "active", runsHere: false });
    expect(isSecret).to.equal(true);
    expect(regionSchema.parse(outputs)).to.deep.equal(outputs);
    expect(outputs.qdrant).to.deep.equal({
      peers: ["http://127.0.0.1:20000"],
      apiKey: secrets.qdrantApiKey,
    });
    expect(outputs.control).to.deep.equal({ kind: "file", folder: "/estates/e1/primary/control" });
    expect(outputs).to.include({ region: "primary", peer: "standby", role: "active", epoch: 3 });
  });
});

function one({ name, resources }: { name: string; resources: readonly Registration[] }, child: string): Registration {
  const [found, ...more] = resources.filter((resource) => resource.name === `${name}-${child}`);
  if (found === undefined || more.length > 0) throw new Error(`not one ${child}`);
  return found;
}
