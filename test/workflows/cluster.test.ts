/** Capture and restore of clusters: other placements, other numbers of nodes, peers that are down, shards that move. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { QdrantClient } from "@qdrant/js-client-rest";
import { expect } from "chai";
import { Qdrant } from "../../runtime/adapters/qdrant/qdrant.ts";
import type { ShardPlacement } from "../../runtime/ports/qdrant.ts";
import { OpenRepository } from "../../runtime/repository/repository.ts";
import { Replication } from "../../runtime/workflows/replicate/replication.ts";
import { ageKeys, silently, storesWithEpoch, systemClock } from "../support/estates/recovery-estate.ts";
import { clientOf, contentOf, databaseOf, emptied, RecoveryPractice } from "../support/estates/recovery-practice.ts";
import { errorOf } from "../support/expect-code.ts";
import { QdrantCluster } from "../support/servers/qdrant-cluster.ts";
import { QdrantServer } from "../support/servers/qdrant-server.ts";
import { eventually } from "../support/time/eventually.ts";
import { hastyClock } from "../support/time/hasty-clock.ts";

const collection = "notes";

describe("a cluster of three nodes", function () {
  this.timeout(120_000);
  let cluster: QdrantCluster;
  let other: QdrantCluster;
  let alone: QdrantServer;
  let source: Qdrant;
  let client: QdrantClient;
  let practice: RecoveryPractice;

  before(async () => {
    [cluster, other, alone] = await Promise.all([QdrantCluster.start(3), QdrantCluster.start(3), QdrantServer.start()]);
    source = databaseOf(cluster);
    client = clientOf({ url: cluster.urls[0] ?? "", apiKey: cluster.apiKey });
  });

  after(async () => {
    await Promise.all([cluster?.stop(), other?.stop(), alone?.stop()]);
  });

  beforeEach(async () => {
    practice = await RecoveryPractice.start();
  });

  afterEach("no collections", async () => {
    await Promise.all([source, databaseOf(other), databaseOf(alone)].map(emptied));
  });

  async function make(client: QdrantClient, shards: number, replicas: number): Promise<void> {
    await client.createCollection(collection, {
      vectors: { size: 4, distance: "Dot" },
      shard_number: shards,
      replication_factor: replicas,
      optimizers_config: { default_segment_number: 1 },
      wal_config: { wal_capacity_mb: 1 },
    });
    await client.createPayloadIndex(collection, { field_name: "tag", field_schema: "keyword", wait: true });
    await write(client, 1, 600, "first");
  }

  async function write(client: QdrantClient, from: number, to: number, tag: string): Promise<void> {
    const ids = Array.from({ length: to - from + 1 }, (_, n) => from + n);
    const points = ids.map((id) => ({ id, payload: { tag }, vector: [id, 1, id % 7, 0.5] }));
    await client.upsert(collection, { wait: true, points });
  }

  async function replicationTo(standby: Qdrant): Promise<Replication> {
    const [east, west] = [storesWithEpoch(), storesWithEpoch()];
    const repository = (await OpenRepository.openOrCreate(west, (await ageKeys()).wrap)).withStream();
    return new Replication({
      source: { region: "east", database: source, control: east.control },
      standby: { region: "west", database: standby, repository },
      ...{ existing: "refuse", toolVersion: "test", clock: systemClock, progress: silently },
    });
  }

  const replicasOf = async (database: Qdrant) =>
    (await database.shards(collection)).map(({ id, peer }) => `${id}/${peer}`);

  /** What every replica of the collection holds, asked one by one. */
  async function countsByReplica(database: Qdrant): Promise<Map<number, Set<number>>> {
    const counts = new Map<number, Set<number>>();
    for (const replica of await database.shards(collection)) {
      const path = `/collections/${collection}/cluster`;
      const answer = await fetch(replica.peerUrl + path, { headers: { "api-key": cluster.apiKey } });
      const { result } = (await answer.json()) as {
        result: { local_shards: { shard_id: number; points_count: number }[] };
      };
      const local = result.local_shards.find(({ shard_id }) => shard_id === replica.id);
      counts.set(replica.id, new Set([...(counts.get(replica.id) ?? []), local?.points_count ?? -1]));
    }
    return counts;
  }

  it("is restored onto another cluster, wherever that puts shards, with every replica whole", async () => {
    await make(client, 3, 2);
    const before = await contentOf(source, collection);
    const target = databaseOf(other);

    await practice.restore(await practice.capture(source), target);

    const replicas = await allShards(target, 6);
    expect(replicas.map(({ id }) => id)).to.deep.equal([0, 0, 1, 1, 2, 2]);
    expect(replicas.every(({ peer }) => other.peers.includes(peer))).to.equal(true);
    expect(await contentOf(target, collection)).to.deep.equal(before);
    await until(async () => [...(await countsByReplica(target)).values()].every((counts) => counts.size === 1));
    await write(clientOf({ url: other.urls[2] ?? "", apiKey: other.apiKey }), 1, 700, "second");
    const tags = (await contentOf(target, collection)).map(({ payload }) => (payload as { tag: string }).tag);
    expect(tags).to.deep.equal(Array(700).fill("second"));
  });

  it("is followed by another cluster with every replica, also by writes between which nothing was flushed", async () => {
    await client.createCollection(collection, {
      vectors: { size: 4, distance: "Dot" },
      shard_number: 2,
      replication_factor: 2,
      optimizers_config: { flush_interval_sec: 1 },
      wal_config: { wal_capacity_mb: 1 },
    });
    await write(client, 1, 600, "first");
    for (const { id, peer } of await source.shards(collection)) {
      const { folder } = cluster.server(peer);
      const file = join(folder, "storage", "collections", collection, `${id}`, "newest_clocks.json");
      await eventually("the replicas to tell what they saw last", () => existsSync(file));
    }
    await client.updateCollection(collection, { optimizers_config: { flush_interval_sec: 600 } });
    const target = databaseOf(other);
    const replication = await replicationTo(target);
    for (const last of [620, 640]) {
      await write(client, last - 19, last, "more");
      await replication.cycle();
      await allShards(target, 4);
      // The sum of both shards: a replica that lags behind the other one counts beside it.
      await until(async () => {
        const counts = [...(await countsByReplica(target)).values()].flatMap((each) => [...each]);
        return counts.reduce((sum, count) => sum + count, 0) === last;
      });
    }
  });

  for (const { action, replicas } of [
    // A peer that lacks a shard takes no difference.
    { action: "whole", replicas: 1 },
    { action: "difference", replicas: 3 },
  ] as const) {
    it(`is followed by a standby whose shards have ${replicas} replicas, ${action === "whole" ? "each whole" : "by differences"}`, async () => {
      await make(client, 2, replicas);
      const target = databaseOf(other);
      const replication = await replicationTo(target);
      await replication.cycle();
      for (let cycle = 1; cycle <= 2; cycle += 1) {
        await write(client, cycle * 1_000, cycle * 1_000 + 9, `of cycle ${cycle}`);
        const { shards } = await replication.cycle();
        expect(shards, `cycle ${cycle}`).to.include({ [action]: 2 });
        const wanted = await contentOf(source, collection);
        for (const url of other.urls) {
          const peer = databaseOf({ url, apiKey: other.apiKey });
          expect(await contentOf(peer, collection), `cycle ${cycle}, ${url}`).to.deep.equal(wanted);
        }
        const counts = [...(await countsByReplica(target)).values()];
        expect(counts.map(({ size }) => size)).to.deep.equal([1, 1]);
      }
    });
  }

  it("is followed while a peer of the standby is down, and by that one's replicas when it is back", async () => {
    await make(client, 2, 2);
    const target = databaseOf(other);
    const replication = await replicationTo(target);
    await replication.cycle();
    const server = other.server(other.peers[2] ?? 0);
    await server.kill();
    await write(client, 1_001, 1_010, "while it was down");
    const wanted = await contentOf(source, collection);
    try {
      await replication.cycle();
      expect(await contentOf(target, collection)).to.deep.equal(wanted);
    } finally {
      await other.restart(server);
    }
    await until(async () => (await target.health(collection)) === "green");
    await replication.cycle();
    for (const url of other.urls) {
      const peer = databaseOf({ url, apiKey: other.apiKey });
      expect(await contentOf(peer, collection), url).to.deep.equal(wanted);
    }
  });

  it("is restored with its shard keys and their shard ids onto another cluster", async () => {
    await client.createCollection(collection, {
      vectors: { size: 4, distance: "Dot" },
      sharding_method: "custom",
      replication_factor: 2,
      wal_config: { wal_capacity_mb: 1 },
    });
    await source.createShardKey(collection, { key: "gone", shards: 1 });
    await source.createShardKey(collection, { key: "kept", shards: 2 });
    await source.deleteShardKey(collection, "gone");
    const points = Array.from({ length: 200 }, (_, id) => ({ id, payload: {}, vector: [id, 1, 2, 3] }));
    await client.upsert(collection, { wait: true, points, shard_key: "kept" });
    const target = databaseOf(other);

    await practice.restore(await practice.capture(source), target);

    expect((await allShards(target, 4)).map(({ id, key }) => [id, key])).to.deep.equal([
      [2, "kept"],
      [2, "kept"],
      [3, "kept"],
      [3, "kept"],
    ]);
    const restored = clientOf({ url: other.urls[1] ?? "", apiKey: other.apiKey });
    await restored.delete(collection, { wait: true, points: points.map(({ id }) => id), shard_key: "kept" });
    expect(await target.count(collection)).to.equal(0);
  });

  it("is restored onto a single node, and a single node onto a cluster", async () => {
    await make(client, 3, 2);
    const before = await contentOf(source, collection);
    const single = databaseOf(alone);

    await practice.restore(await practice.capture(source), single);
    expect(await contentOf(single, collection)).to.deep.equal(before);

    const back = await RecoveryPractice.start();
    await back.restore(await back.capture(single), databaseOf(other));
    expect(await contentOf(databaseOf(other), collection)).to.deep.equal(before);
    expect(await allShards(databaseOf(other), 6)).to.have.lengthOf(6);
  });

  it("is captured while a peer is down or hangs, from other Active replicas", async () => {
    await make(client, 3, 2);
    const before = await contentOf(source, collection);
    const server = cluster.server(cluster.peers[0] ?? 0);

    await server.kill();
    const down = await practice.capture(source, "full");
    await cluster.restart(server);
    server.pause();
    const hung = await practice.capture(databaseOf(cluster), "full").finally(() => cluster.resume(server));

    for (const recoveryPoint of [down, hung]) {
      const shards = recoveryPoint.collections[0]?.shards ?? [];
      expect(shards.map(({ id }) => id)).to.deep.equal([0, 1, 2]);
      expect(shards.map(({ peer }) => peer)).not.to.include(cluster.peers[0]);
      await practice.restore(recoveryPoint, databaseOf(alone));
      expect(await contentOf(databaseOf(alone), collection)).to.deep.equal(before);
      await databaseOf(alone).deleteCollection(collection);
    }
  });

  it("is not captured when a shard's only replica is on a peer that is down: shard and peer are named", async () => {
    await make(client, 3, 1);
    const [lost] = (await source.shards(collection)).filter(({ peer }) => peer !== cluster.peers[0]);
    const server = cluster.server(lost?.peer ?? 0);

    await server.kill();
    const error = await errorOf(source.shards(collection));
    await cluster.restart(server);

    expect(error?.code).to.equal("UNREACHABLE");
    expect(error?.message).to.match(new RegExp(`replica of shard ${lost?.id}\\b.*no answer from ${server.url}`));
  });

  it("of which a shard key is on a peer that is down alone is named with it, and everything else is captured", async () => {
    await make(client, 3, 2);
    const before = await contentOf(source, collection);
    const keyed = "by-tenant";
    await client.createCollection(keyed, {
      vectors: { size: 4, distance: "Dot" },
      sharding_method: "custom",
      wal_config: { wal_capacity_mb: 1 },
    });
    const [here, lost] = cluster.peers;
    for (const [shard_key, peer] of [
      ["here", here],
      ["away", lost],
    ] as const) {
      await client.createShardKey(keyed, { shard_key, placement: [peer ?? 0] });
      await client.upsert(keyed, { wait: true, shard_key, points: [{ id: 1, vector: [1, 2, 3, 4] }] });
    }
    const server = cluster.server(lost ?? 0);
    await server.kill();
    const recoveryPoint = await practice.capture(source, "full").finally(() => cluster.restart(server));

    const [missing, ...more] = recoveryPoint.missing ?? [];
    expect(more).to.deep.equal([]);
    expect(missing).to.include({ kind: "qdrant", name: keyed });
    expect(missing?.because)
      .to.match(/no answer from/)
      .and.contain(server.url);
    expect(recoveryPoint.collections.map(({ name }) => name)).to.deep.equal([collection]);
    await practice.restore(recoveryPoint, databaseOf(alone));
    expect(await contentOf(databaseOf(alone), collection)).to.deep.equal(before);
    expect((await practice.capture(source, "full")).missing, "whole again when the peer is back").to.equal(undefined);
  });

  it("is captured rightly by an incremental when a shard has moved to another peer since", async () => {
    await make(client, 2, 1);
    await practice.capture(source, "full");
    const [shard] = await source.shards(collection);
    const to = cluster.peers.find((peer) => peer !== shard?.peer) ?? 0;
    await move(shard as ShardPlacement, to);
    await write(client, 1, 100, "second");
    await client.delete(collection, { wait: true, points: [200, 201, 202, 203] });
    const before = await contentOf(source, collection);

    const recoveryPoint = await practice.capture(source, "incremental");

    expect(recoveryPoint.collections[0]?.shards.find(({ id }) => id === shard?.id)?.peer).to.equal(to);
    await practice.restore(recoveryPoint, databaseOf(alone));
    expect(await contentOf(databaseOf(alone), collection)).to.deep.equal(before);
  });

  it("is not captured while a transfer is under way, which is told in words, and is when it is over", async () => {
    await make(client, 1, 1);
    const before = await contentOf(source, collection);
    const [shard] = await source.shards(collection);
    // Not the leader: an order to move a shard that it does not take is lost.
    const leader = await cluster.leader();
    const to = cluster.peers.find((peer) => peer !== shard?.peer && peer !== leader) ?? 0;
    const peers = cluster.servers.filter((server) => server !== cluster.server(to)).map(({ url }) => url);
    const others = new Qdrant({ peers, apiKey: cluster.apiKey });
    const asked = clientOf({ url: peers[0] ?? "", apiKey: cluster.apiKey });
    const words = `shard 0 is transferred from peer ${shard?.peer} to peer ${to}`;
    let moving: Promise<void> | undefined;
    let told = "";

    cluster.server(to).pause();
    try {
      moving = move(shard as ShardPlacement, to, asked);
      await until(async () => (await others.layout(collection)).movements.length > 0);
      // Waits for the shard to come to rest until its clock says that it has waited long enough.
      told = String((await errorOf(practice.capture(others, "full", hastyClock())))?.message);
    } finally {
      await cluster.resume(cluster.server(to));
    }
    await moving;

    expect(told).to.contain(words).and.contain("nothing was committed");
    await until(async () => (await source.layout(collection)).movements.length === 0);
    await practice.restore(await practice.capture(source), databaseOf(alone));
    expect(await contentOf(databaseOf(alone), collection)).to.deep.equal(before);
  });

  it("is captured without holes while collections are made and dropped", async () => {
    await make(client, 2, 2);
    const before = await contentOf(source, collection);
    const another = { vectors: { size: 2, distance: "Dot" as const }, wal_config: { wal_capacity_mb: 1 } };
    await client.createCollection("dropped", another);
    const busy = databaseOf(cluster);
    let isChanged = false;
    busy.captureShard = async (...request) => {
      if (!isChanged) {
        isChanged = true;
        await client.deleteCollection("dropped");
        await client.createCollection("made", another);
      }
      return source.captureShard(...request);
    };

    const recoveryPoint = await practice.capture(busy);

    expect(isChanged).to.equal(true);
    expect(recoveryPoint.collections.map(({ name }) => name)).to.deep.equal([collection]);
    await practice.restore(recoveryPoint, databaseOf(alone));
    expect(await contentOf(databaseOf(alone), collection)).to.deep.equal(before);
    const next = await practice.capture(source, "incremental");
    expect(next.collections.map(({ name }) => name)).to.deep.equal(["made", collection]);
  });

  /** A replica that has just been brought up to date may leave the list once more for a moment. */
  async function allShards(database: Qdrant, count: number): Promise<ShardPlacement[]> {
    let replicas: ShardPlacement[] = [];
    await until(async () => {
      replicas = await database.shards(collection).catch(() => []);
      return replicas.length === count;
    });
    return replicas;
  }

  async function move({ id, peer }: ShardPlacement, to: number, asked = client): Promise<void> {
    const move_shard = { shard_id: id, from_peer_id: peer, to_peer_id: to };
    await asked.updateCollectionCluster(collection, { move_shard });
    await until(async () => (await replicasOf(source)).includes(`${id}/${to}`));
    await until(async () => !(await replicasOf(source)).includes(`${id}/${peer}`));
  }

  async function until(isSo: () => Promise<boolean>): Promise<void> {
    await eventually("the cluster to come to be so", isSo);
  }
});
