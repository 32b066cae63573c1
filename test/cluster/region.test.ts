/** What a node does to the pods of a region, and what their network and accounts let be done: a pair on a real cluster, under a client that never stops. */
import { expect } from "chai";
import { clientOf, SteadyClient } from "../support/cluster/client.ts";
import { type Loose, stillRuns } from "../support/cluster/cluster.ts";
import { ClusterPair, clientKey, gateUrl, type RegionName, regionNames } from "../support/cluster/cluster-pair.ts";
import { nodeAddress } from "../support/cluster/place.ts";
import { eventually } from "../support/time/eventually.ts";

const newClientKey = "another-key-of-the-clients";
const stranger = "strangers";
const replicator = "qdrant-dr-replicate";

describe("the regions of a pair in a cluster", () => {
  let pair: ClusterPair;
  let client: SteadyClient;
  const tell = (text: string) => console.error(`cluster: ${text}`);
  const pods = (region: string) => pair.cluster.pods(region);
  const apiOf = (region: string, group = "/api/v1") => `${group}/namespaces/${region}`;

  before("a pair that is served", async () => {
    pair = await ClusterPair.start((step) => tell(`${step}…`));
    await pair.cluster.api.create("/api/v1/namespaces", { metadata: { name: stranger } });
    await pair.upBoth();
    client = await SteadyClient.start();
    await follows("dr");
  });
  afterEach("what the cluster says of a failure", async function () {
    if (this.currentTest?.state === "failed") await pair.tellTroubles();
  });
  after(async () => {
    await client?.stop();
    await pair?.stop();
  });

  it("a pod that is no client reaches nothing of a region, and a client's reaches the gate alone", async () => {
    // The other region's pods are in the same network here, which the settings let in: for a while they do not.
    const outside = (cidrs: readonly string[]) =>
      pair.changeSettings("prod", ({ kubernetes }) => {
        for (const { outside, control } of [kubernetes.qdrant, kubernetes.gate]) (outside ?? control).cidrs = cidrs;
      });
    outside([`${nodeAddress}/32`]);
    await pair.up("prod");
    outside(["10.0.0.0/8"]);
    const { gates, others } = await addressesOf("prod");
    const reached = await Promise.all(
      [stranger, "prod", "dr", "clients"].map(async (namespace) => {
        const addresses = await pair.cluster.reachedFrom(namespace, [...gates, ...others]);
        return [namespace, addresses.sort()];
      }),
    );
    const nothing: string[] = [];
    expect(Object.fromEntries(reached)).to.deep.equal({
      ...{ [stranger]: nothing, prod: nothing, dr: nothing },
      clients: gates.sort(),
    });
    await pair.up("prod");
    await follows("dr");
  });

  it("no account of a job may do anything in the cluster, and no pod has a token", async () => {
    const { body } = await pair.cluster.api.call("GET", `${apiOf("prod")}/serviceaccounts`);
    const accounts: string[] = body.items.map(({ metadata }: Loose) => metadata.name);
    expect(accounts.filter((name) => name.startsWith("qdrant-dr-")).length).to.be.greaterThan(5);
    for (const account of accounts) {
      for (const [verb, resource, group = ""] of [
        ["get", "secrets"],
        ["list", "pods"],
        ["create", "pods"],
        ["create", "pods/exec"],
        ["delete", "persistentvolumeclaims"],
        ["patch", "statefulsets", "apps"],
        ["create", "jobs", "batch"],
        ["update", "rolebindings", "rbac.authorization.k8s.io"],
      ] as const) {
        expect(await mayDo(account, verb, resource, group), `${account} ${verb} ${resource}`).to.equal(false);
      }
    }
    const tokens = (await pods("prod")).filter(({ spec }) =>
      spec.volumes?.some(({ projected }: Loose) => projected?.sources.some((one: Loose) => one.serviceAccountToken)),
    );
    expect(tokens.map(({ metadata }) => metadata.name)).to.deep.equal([]);
  });

  it("a Qdrant that is told to end writes out what it has and ends by itself", async () => {
    const path = `${apiOf("prod")}/pods`;
    const ended = pair.cluster.until(
      `${path}?fieldSelector=metadata.name%3Dqdrant-2`,
      "qdrant-2 ends",
      ({ status }) => status.containerStatuses?.[0].state.terminated !== undefined,
    );
    await pair.cluster.api.call("DELETE", `${path}/qdrant-2`);
    const toldAt = performance.now();
    const [{ state }] = (await ended).status.containerStatuses;
    tell(`qdrant-2 ended after ${((performance.now() - toldAt) / 1000).toFixed(1)} s`);
    expect(state.terminated).to.include({ exitCode: 0 });
    await stillServes("after one peer was told to end");
  });

  it("a change of Qdrant's pods is rolled out under the client, and a worker that is lost costs no capture", async () => {
    pair.changeSettings("prod", ({ kubernetes }) => {
      kubernetes.qdrant.resources.memory = "1100Mi";
      kubernetes.schedules = { workers: 2 };
    });
    await pair.up("prod");
    await stillServes("after a rolling update of Qdrant");
    const job = pair.cluster.runJob("prod", "qdrant-dr-full");
    const ofCapture = `${apiOf("prod")}/pods?labelSelector=app.kubernetes.io/name%3Dqdrant-dr-capture`;
    const worker = await pair.cluster.until(ofCapture, "a worker runs", stillRuns);
    await pair.cluster.kill("prod", worker.metadata.name);
    await job;
    const { body } = await pair.cluster.api.call("GET", `${apiOf("prod", "/apis/batch/v1")}/jobs`);
    expect(body.items.map(({ status }: Loose) => status.failed ?? 0)).to.include(1);
  });

  it("the volume of a test restore goes with its job", async () => {
    await pair.cluster.runJob("dr", "qdrant-dr-test-restore");
    const claims = `${apiOf("dr")}/persistentvolumeclaims`;
    const throwaways = async () => {
      const { body } = await pair.cluster.api.call("GET", claims);
      return body.items.filter(({ metadata }: Loose) => metadata.name.endsWith("-throwaway"));
    };
    expect(await throwaways()).to.have.lengthOf(1);
    const jobs = `${apiOf("dr", "/apis/batch/v1")}/jobs`;
    const [job] = (await pair.cluster.api.call("GET", jobs)).body.items;
    expect(job.spec.ttlSecondsAfterFinished).to.be.greaterThan(0);
    // The log stays for a while; here it need not.
    const sooner = { spec: { ttlSecondsAfterFinished: 0 } };
    await pair.cluster.api.call("PATCH", `${jobs}/${job.metadata.name}`, sooner, "application/merge-patch+json");
    await eventually("the volume is gone", async () => (await throwaways()).length === 0, { everyMs: 250 });
  });

  it("an eviction waits while a peer or a gate is missing", async () => {
    for (const name of ["qdrant-dr-gate", "qdrant"]) {
      expect(await pair.cluster.evict("prod", `${name}-0`), `${name}-0`).to.equal(201);
      expect(await pair.cluster.evict("prod", `${name}-1`), `${name}-1`).to.equal(429);
      await pair.cluster.untilAllReady("prod");
    }
    await stillServes("after evictions");
  });

  it("every pod of both regions is killed: each comes back, and nothing that was acknowledged is lost", async () => {
    const all = (await Promise.all(regionNames.map(pods))).flat().filter(({ spec }) => spec.restartPolicy === "Always");
    const restarts = (pod: Loose) => pod.status.containerStatuses[0].restartCount;
    for (const { metadata } of all) await pair.cluster.kill(metadata.namespace, metadata.name);
    for (const { metadata, ...before } of all) {
      const path = `${apiOf(metadata.namespace)}/pods?fieldSelector=metadata.name%3D${metadata.name}`;
      await pair.cluster.until(path, `${metadata.name} restarts`, (pod) => restarts(pod) > restarts(before));
    }
    for (const region of regionNames) await pair.cluster.untilAllReady(region);
    await stillServes("after every pod was killed");
    await follows("dr");
  });

  it("the replicator's pod is deleted while collections are made, dropped and made again: it goes on by itself", async () => {
    const gate = clientOf(gateUrl("prod"));
    const parameters = { vectors: { size: 4, distance: "Dot" as const }, shard_number: 2, replication_factor: 2 };
    const points = Array.from({ length: 500 }, (_, id) => ({ id, vector: [id, 1, 2, 3] }));
    for (const round of [1, 2, 3]) {
      if (round > 1) await gate.deleteCollection("again");
      for (const name of [`made-${round}`, "again"]) {
        await gate.createCollection(name, parameters);
        await gate.upsert(name, { wait: true, points });
      }
      const [pod] = (await pods("dr")).filter(({ metadata }) => metadata.name.startsWith(`${replicator}-`));
      const name: string = pod.metadata.name;
      const begun = async () => (await pair.cluster.logOf("dr", name)).includes(`made-${round}`);
      await eventually(`the replicator comes to made-${round}`, begun, { everyMs: 50, withinMs: 90_000 });
      await pair.cluster.api.call("DELETE", `${apiOf("dr")}/pods/${name}`, { gracePeriodSeconds: 0 });
      await pair.cluster.untilAllReady("dr");
    }
    const { qdrant } = await pair.stacks.region("dr");
    const standby = clientOf(qdrant.peers[0] ?? "", qdrant.apiKey);
    for (const name of ["made-1", "made-2", "made-3", "again"]) {
      const isWhole = async () => (await standby.count(name).catch(() => ({ count: 0 }))).count === points.length;
      await eventually(`${name} is followed`, isWhole, { everyMs: 500, withinMs: 180_000 });
    }
    await follows("dr");
  });

  it("a changed client key and changed keys of a store reach what runs; those before open nothing any more", async () => {
    await pair.stores.prod.addKeys();
    await pair.setSecrets("prod", { clientKey: newClientKey, store: pair.stores.prod.keys });
    await pair.setSecrets("dr", { clientKey: newClientKey });
    await pair.up("prod");
    client.takeKey(newClientKey);
    await pair.introduce("dr");
    await pair.up("dr");
    await pair.stores.prod.revokeOldKeys();
    expect(await statusOf(gateUrl("prod"), clientKey), "with the old key").to.equal(401);
    expect(await statusOf(gateUrl("prod"), newClientKey), "with the new key").to.equal(200);
    // A closed gate asks for no key.
    expect(await statusOf(gateUrl("dr"), clientKey), "at the standby").to.equal(503);
    await pair.cluster.runJob("prod", "qdrant-dr-incremental");
    await pair.cluster.runJob("dr", "qdrant-dr-copy");
    await stillServes("after its keys were changed");
    await follows("dr");
  });

  it("files of an ordinary application are captured; one that may not be read is named, and stops nothing", async () => {
    const claims = `${apiOf("prod")}/persistentvolumeclaims`;
    await pair.cluster.api.create(claims, {
      metadata: { name: "files" },
      spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } },
    });
    const write = `const { writeFileSync: write } = await import("node:fs");
      write("/srv/files/shared.txt", "of the group", { mode: 0o640 }); write("/srv/files/hidden.txt", "hidden", { mode: 0o600 });`;
    await pair.cluster.runScript("prod", write, {
      user: 1001,
      volumes: [{ name: "files", persistentVolumeClaim: { claimName: "files" } }],
      volumeMounts: [{ name: "files", mountPath: "/srv/files" }],
    });
    pair.changeSettings("prod", (settings) => {
      settings.userData = [{ name: "files", path: "/srv/files" }];
      settings.kubernetes.claims = [{ claim: "files", path: "/srv/files", group: 1001 }];
    });
    await pair.up("prod");
    await pair.cluster.runJob("prod", "qdrant-dr-incremental").catch((error: Error) => tell(error.message));
    const { stdout } = await pair.succeed("recovery-points", "list", "--stack", "prod", "--json");
    const [newest] = JSON.parse(stdout).recoveryPoints.slice(-1);
    tell(JSON.stringify(newest));
    expect(newest.missing.map(({ path }: Loose) => path)).to.deep.equal(["hidden.txt"]);
  });

  it("`destroy` keeps a region's volumes, and `up` brings it back with all that it held", async () => {
    const claims = async () => {
      const { body } = await pair.cluster.api.call("GET", `${apiOf("dr")}/persistentvolumeclaims`);
      return body.items.map(({ metadata }: Loose) => metadata.uid).sort();
    };
    const before = await claims();
    await pair.destroy("dr");
    expect(await claims()).to.deep.equal(before);
    await pair.up("dr");
    await pair.introduce("prod");
    await pair.up("prod");
    await pair.cluster.untilAllReady("dr");
    const { qdrant } = await pair.stacks.region("dr");
    const { collections } = await clientOf(qdrant.peers[0] ?? "", qdrant.apiKey).getCollections();
    expect(collections.map(({ name }) => name)).to.include.members(["notes", "made-1", "again"]);
    await follows("dr");
  });

  async function follows(standby: RegionName): Promise<void> {
    await client.isFollowedBy(await pair.stacks.region(standby));
  }

  /** The active region serves, and has all that it acknowledged. */
  async function stillServes(when: string): Promise<void> {
    await pair.cluster.untilAllReady("prod");
    await client.acknowledges(20);
    tell(`${when}: longest pause ${client.takeLongestPauseMs().toFixed(0)} ms`);
    expect(await client.missingIn(gateUrl("prod"))).to.deep.equal([]);
  }

  async function mayDo(account: string, verb: string, what: string, group: string): Promise<boolean> {
    const [resource, subresource] = what.split("/");
    const { body } = await pair.cluster.api.call("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", {
      apiVersion: "authorization.k8s.io/v1",
      kind: "SubjectAccessReview",
      spec: {
        user: `system:serviceaccount:prod:${account}`,
        groups: ["system:serviceaccounts", "system:serviceaccounts:prod", "system:authenticated"],
        resourceAttributes: { namespace: "prod", verb, resource, subresource, group },
      },
    });
    return body.status.allowed;
  }

  /** Where clients come in, by pods and by their Service; and everything else that listens in a region. */
  async function addressesOf(region: RegionName) {
    const gates: string[] = [];
    const others: string[] = [];
    const add = (name: string, port: Loose, address: string) =>
      (name.startsWith("qdrant-dr-gate") && ["http", "grpc"].includes(port.name) ? gates : others).push(address);
    for (const { metadata, spec, status } of await pods(region)) {
      for (const port of spec.containers[0].ports ?? []) {
        add(metadata.name, port, `${status.podIP}:${port.containerPort}`);
      }
    }
    const { body } = await pair.cluster.api.call("GET", `${apiOf(region)}/services`);
    for (const { metadata, spec } of body.items) {
      if (spec.clusterIP === "None") continue;
      for (const port of spec.ports) add(metadata.name, port, `${spec.clusterIP}:${port.port}`);
    }
    return { gates, others };
  }
});

async function statusOf(url: string, key: string): Promise<number> {
  const answer = await fetch(`${url}/collections`, { headers: { "api-key": key } });
  await answer.arrayBuffer();
  return answer.status;
}
