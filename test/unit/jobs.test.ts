/** Proves what holds for every job, whatever the table of jobs says of each, and that the threat model says the same as the table. */
import { readFileSync } from "node:fs";
import { expect } from "chai";
import { buildJobPolicy } from "../../components/aws/job-policy.ts";
import { type Job, jobs } from "../../runtime/domain/job-names.ts";
import { definitionOf, jobsOf, reachesOf, storeKinds } from "../../runtime/domain/jobs.ts";
import { controlLayout, storeLayout } from "../../runtime/domain/recovery-points/store-layout.ts";
import type { Region } from "../../runtime/domain/region.ts";
import { isRegionJob, ownRegionFor, peerRegionFor } from "../../runtime/domain/region-for-job.ts";
import { regionForPeer } from "../../runtime/domain/region-for-peer.ts";
import { type KubernetesStackSettings, parseStackSettings } from "../../runtime/domain/settings/stack-settings.ts";
import { signing, trust } from "../support/estates/test-trust.ts";

describe("jobs of a region in a cluster", () => {
  it("a job has the region's API key if, and only if, its pods reach the region's Qdrant", () => {
    for (const job of jobs) {
      const { own, reaches } = definitionOf(job);
      expect(own.secrets.includes("apiKey"), job).to.equal(reaches.includes("qdrant"));
    }
  });

  it("a job has the token of the gate's control if, and only if, its pods reach the gate", () => {
    for (const job of jobs) {
      const { own, peer, reaches } = definitionOf(job);
      expect(own.secrets.includes("gate"), job).to.equal(reaches.includes("gate"));
      expect(peer?.secrets ?? [], job).not.to.include("gate");
    }
  });

  it("a job that uses a store, or knows anything of the other region, reaches what is outside the cluster", () => {
    for (const job of jobs) {
      const { own, peer, reaches } = definitionOf(job);
      const isOutside = Object.keys(own.stores).length > 0 || peer !== undefined;
      expect(reaches.includes("stores"), job).to.equal(isOutside);
    }
  });

  it("only captures ask the cluster's API, and only where objects are captured", () => {
    const cluster = settingsOf({ infrastructure: { kubernetes: capturedObjects } });
    const asking = (settings: KubernetesStackSettings) =>
      jobs.filter((job) => reachesOf(job, settings).includes("kubernetes"));
    expect(asking(cluster)).to.deep.equal(["capture"]);
    expect(asking(settingsOf())).to.deep.equal([]);
  });

  it("who makes recovery points opens data keys and makes new ones there; who does not open them may not read wrapped ones", () => {
    for (const job of jobs) {
      const { own, peer } = definitionOf(job);
      for (const { secrets, stores } of peer === undefined ? [own] : [own, peer]) {
        const makesRecoveryPoints = stores.repository?.includes(storeLayout.packs) ?? false;
        const makesKeys = stores.control?.includes(controlLayout.keys) ?? false;
        expect(makesKeys, job).to.equal(makesRecoveryPoints);
        if (makesKeys || stores.repository !== undefined) expect(secrets, job).to.include("identity");
      }
      const denied = buildJobPolicy(job, buckets).filter(({ Effect }) => Effect === "Deny");
      const mayReadKeysOf = (name: string) => !JSON.stringify(denied).includes(`${name}-control/keys/`);
      expect(mayReadKeysOf("own"), job).to.equal(own.secrets.includes("identity"));
      if (peer !== undefined) expect(mayReadKeysOf("peer"), job).to.equal(peer.secrets.includes("identity"));
    }
  });

  it("a job is told of each region what the table says, and not a secret more", () => {
    const { endpoint: _endpoint, gate: _gate, ...given } = regionNamed("peer");
    const madeForOwn = { ...given, madeFor: "own" };
    for (const job of jobs.filter(isRegionJob)) {
      const { own, peer } = definitionOf(job);
      const told = [
        { use: own, name: "own", region: ownRegionFor(job, regionNamed("own"), { signing }) },
        { use: peer, name: "peer", region: peerRegionFor(job, madeForOwn, regionNamed("own"), { signing }) },
      ];
      for (const { name, region, use } of told) {
        expect(region === undefined, `${job} of ${name}`).to.equal(use === undefined);
        const text = JSON.stringify(region ?? {});
        const secrets = { apiKey: `${name}-api-key`, identity: "AGE-SECRET-KEY-own", gate: `${name}-token` };
        for (const [secret, value] of Object.entries(secrets))
          expect(text.includes(value), `${job}: ${secret} of ${name}`).to.equal(
            use?.secrets.some((known) => known === secret) ?? false,
          );
        for (const kind of storeKinds)
          expect(text.includes(`${name}-${kind}-secret`), `${job}: ${kind} of ${name}`).to.equal(
            use?.stores[kind] !== undefined,
          );
        expect(text, `${job}: clients' key of ${name}`).not.to.contain("client-key");
        expect(text, `${job}: the other region's identity`).not.to.contain("AGE-SECRET-KEY-peer");
      }
    }
  });

  it("who captures cannot delete, and who deletes creates no recovery points", () => {
    const deleting = jobs.filter(
      (job) => (definitionOf(job).own.deletes ?? definitionOf(job).peer?.deletes) !== undefined,
    );
    expect(deleting).to.deep.equal(["prune", "prune-stream"]);
    for (const job of deleting) expect(definitionOf(job).own.stores.repository, job).to.deep.equal([]);
  });

  it("a job writes to stores with a key only where it creates or deletes objects, and the other region gets none that writes", () => {
    const keyOf = (name: string) => ({ accessKeyId: name, secretAccessKey: `secret of ${name}` });
    const keys = { write: keyOf("write"), read: keyOf("read"), jobs: { verify: keyOf("verify") } };
    for (const job of jobs.filter(isRegionJob)) {
      const own = ownRegionFor(job, regionNamed("own"), { signing, store: keys });
      const { deletes = [], stores } = definitionOf(job).own;
      const makes = [deletes, ...Object.values(stores)].some((prefixes) => prefixes.length > 0);
      const used = [own.repository, own.control].flatMap((store) =>
        store.kind === "s3" && store.credentials !== undefined ? [store.credentials.accessKeyId] : [],
      );
      const wanted = job === "verify" ? "verify" : makes ? "write" : "read";
      expect(new Set(used), job).to.deep.equal(new Set([wanted]));
    }
    const given = regionForPeer(regionNamed("own"), { store: keys.read, qdrant: "a key of its own" });
    const text = JSON.stringify(given);
    expect(given.repository).to.deep.include({ credentials: keys.read });
    expect(given.qdrant.apiKey).to.equal("a key of its own");
    for (const secret of [
      "own-repository-secret",
      "own-control-secret",
      "own-api-key",
      "own-token",
      "client-key",
      "AGE-",
    ])
      expect(text, secret).not.to.contain(secret);
    const folders = peerRegionFor("replicate-folders", given, regionNamed("own"), {
      signing,
      store: { ...keys, peerWrite: keyOf("there") },
    });
    expect(folders?.repository).to.deep.include({ credentials: keyOf("there") });
    const copy = peerRegionFor("copy", given, regionNamed("own"), {
      signing,
      store: { ...keys, peerWrite: keyOf("there") },
    });
    expect(copy?.repository).to.deep.include({ credentials: keys.read });
  });

  it("nothing that leads to the other region exists before that is known, and no two jobs' schedules have one name", () => {
    const settings = settingsOf({}, { replicate: { everySeconds: 10, folders: true }, ...volumes });
    const alone = jobsOf(settings, false);
    const together = jobsOf(settings, true);
    const wantPeer = together.filter((job) => commandsOf(job, settings).flat().includes(settings.peer));
    expect(wantPeer).to.deep.equal(["copy", "replicate", "replicate-folders"]);
    expect(together.filter((job) => !wantPeer.includes(job))).to.deep.equal(alone);
    const names = jobs.flatMap((job) => {
      const { runs } = definitionOf(job);
      return runs.as === "CronJob" ? runs.schedules.map(({ name }) => name) : [];
    });
    expect(new Set(names).size).to.equal(names.length);
  });

  it("no secret is in a command", () => {
    const settings = settingsOf({}, { replicate: { everySeconds: 10, folders: true }, ...volumes });
    for (const job of jobs)
      for (const command of commandsOf(job, settings)) expect(command.join(" "), job).not.to.match(/key|token|secret/i);
  });

  it("the threat model has a row for each job, which says who has Qdrant's key and the identity, and who knows of the other region", () => {
    const page = readFileSync(new URL("../../docs/security/threat-model.md", import.meta.url), "utf8");
    const rows = page.slice(page.indexOf("## Jobs"), page.indexOf("## Network")).matchAll(/^\| ([a-z-]+) +\|(.*)\|$/gm);
    const said = new Map([...rows].map(([, job, cells = ""]) => [job, cells.split("|").map((cell) => cell.trim())]));
    for (const job of jobs) {
      const { own, peer } = definitionOf(job);
      const [key, identity, , ofPeer] = said.get(job) ?? [];
      expect([key, identity], job).to.deep.equal([
        own.secrets.includes("apiKey") ? "yes" : "no",
        own.secrets.includes("identity") ? "yes" : "no",
      ]);
      expect(ofPeer === "nothing", job).to.equal(peer === undefined);
    }
  });
});

const buckets = {
  repository: "own-repository",
  control: "own-control",
  keyArn: "arn:aws:kms:eu-west-1:111122223333:key/mrk-1",
  peer: {
    repository: "peer-repository",
    control: "peer-control",
    keyArn: "arn:aws:kms:eu-west-2:111122223333:key/mrk-1",
  },
};

const capturedObjects = { namespaces: ["search"], kinds: [{ apiVersion: "apps/v1", kind: "StatefulSet" }] };
const volumes = { claims: [{ claim: "files", path: "/srv/files" }] };

function commandsOf(job: Job, settings: KubernetesStackSettings): string[][] {
  const { runs } = definitionOf(job);
  if (runs.as === "StatefulSet") return [];
  if (runs.as === "Job") return [runs.command(settings, ["files"])];
  return runs.as === "CronJob" ? runs.schedules.map(({ command }) => command(settings)) : [runs.command(settings)];
}

function settingsOf(
  more: Record<string, unknown> = {},
  kubernetes: Record<string, unknown> = {},
): KubernetesStackSettings {
  const image = `registry.example/image@sha256:${"0".repeat(64)}`;
  const settings = parseStackSettings("own", {
    peer: "other",
    trust,
    initialRole: "active",
    platform: "kubernetes",
    store: "s3",
    objectives: { rtoMinutes: 30, rpoMinutes: 1440 },
    stores: { repository: { bucket: "points", region: "eu-1" }, control: { bucket: "control", region: "eu-1" } },
    userData: kubernetes["claims"] === undefined ? [] : [{ name: "files", path: "/srv/files" }],
    kubernetes: {
      namespace: "search",
      image,
      qdrant: { image, storageGib: 1 },
      recipients: ["age1a", "age1b"],
      ...kubernetes,
    },
    ...more,
  });
  if (settings.platform !== "kubernetes") throw new Error("not of a cluster");
  return settings;
}

function regionNamed(name: string): Region {
  const storeNamed = (kind: string) => ({
    kind: "s3" as const,
    bucket: `${name}-${kind}`,
    region: "eu-1",
    credentials: { accessKeyId: "access-key-id", secretAccessKey: `${name}-${kind}-secret` },
  });
  return {
    contract: 1,
    region: name,
    peer: "another",
    role: "active",
    epoch: 1,
    objectives: { rtoMinutes: 30, rpoMinutes: 15 },
    qdrant: { peers: ["http://127.0.0.1:6333"], apiKey: `${name}-api-key` },
    repository: storeNamed("repository"),
    control: storeNamed("control"),
    keys: { recipients: ["age1a", "age1b"], identity: `AGE-SECRET-KEY-${name}` },
    trust,
    configuration: [],
    userData: [],
    infrastructure: { stacks: [] },
    gate: {
      url: "http://127.0.0.1:6333",
      controlUrls: ["http://127.0.0.1:6333/control"],
      controlToken: `${name}-token`,
      mode: "availability",
    },
    endpoint: {
      url: "http://127.0.0.1:6333",
      clientKey: "client-key",
      route53: { zoneId: "Z1", name: "search.example" },
    },
  };
}
