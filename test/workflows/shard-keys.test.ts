/** Custom shard keys, whose shards must get their captured ids again. Real Qdrants in cluster mode, a node each. */
import type { QdrantClient } from "@qdrant/js-client-rest";
import { expect } from "chai";
import type { Qdrant } from "../../runtime/adapters/qdrant/qdrant.ts";
import type { RecoveryPoint } from "../../runtime/domain/recovery-points/recovery-point.ts";
import { planRestore } from "../../runtime/workflows/apply/plan-restore.ts";
import { asSeenElsewhere, silently, systemClock } from "../support/estates/recovery-estate.ts";
import { clientOf, contentOf, databaseOf, emptied, RecoveryPractice } from "../support/estates/recovery-practice.ts";
import { errorOf } from "../support/expect-code.ts";
import { QdrantCluster } from "../support/servers/qdrant-cluster.ts";
import { QdrantServer } from "../support/servers/qdrant-server.ts";

const collection = "tenants";

describe("a collection with custom shard keys", function () {
  this.timeout(60_000);
  let sourceServer: QdrantCluster;
  let targetServer: QdrantCluster;
  let source: Qdrant;
  let target: Qdrant;
  let client: QdrantClient;
  let practice: RecoveryPractice;

  before(async () => {
    [sourceServer, targetServer] = await Promise.all([QdrantCluster.start(1), QdrantCluster.start(1)]);
    [source, target] = [databaseOf(sourceServer), databaseOf(targetServer)];
    client = clientOf({ url: sourceServer.urls[0] ?? "", apiKey: sourceServer.apiKey });
    practice = await RecoveryPractice.start();
  });

  after(async () => {
    await Promise.all([sourceServer?.stop(), targetServer?.stop()]);
  });

  afterEach("no collections", async () => {
    await Promise.all([emptied(source), emptied(target)]);
  });

  async function makeTenants(keys: readonly (readonly [key: string | number, shards: number])[]): Promise<void> {
    await client.createCollection(collection, {
      vectors: { size: 4, distance: "Dot" },
      sharding_method: "custom",
      optimizers_config: { default_segment_number: 1 },
      wal_config: { wal_capacity_mb: 1 },
    });
    for (const [key, shards] of keys) await source.createShardKey(collection, { key, shards });
    // Without any shard, Qdrant refuses an index.
    if (keys.length > 0)
      await client.createPayloadIndex(collection, { field_name: "tag", field_schema: "keyword", wait: true });
  }

  async function write(client: QdrantClient, key: string | number, from: number, to: number, tag = "first") {
    const ids = Array.from({ length: to - from + 1 }, (_, n) => from + n);
    const points = ids.map((id) => ({ id, payload: { tag }, vector: [id, 1, id % 7, 0.5] }));
    await client.upsert(collection, { wait: true, points, shard_key: key });
  }

  const placed = async (database: Qdrant) => (await database.shards(collection)).map(({ id, key }) => [id, key]);

  it("gets every shard under its captured id, also after gaps, and later deletes and overwrites hit every point", async () => {
    await makeTenants([
      ["first", 1],
      ["gone", 3],
      ["many", 3],
      [7, 1],
      ["7", 1],
    ]);
    await source.deleteShardKey(collection, "gone");
    await write(client, "first", 1, 100);
    await write(client, "many", 1_001, 1_400);
    await write(client, 7, 2_001, 2_010);
    await write(client, "7", 3_001, 3_020);
    const before = await contentOf(source, collection);

    await practice.restore(await practice.capture(source), target);

    expect(await placed(target)).to.deep.equal([
      [1, "first"],
      [5, "many"],
      [6, "many"],
      [7, "many"],
      [8, 7],
      [9, "7"],
    ]);
    expect(await contentOf(target, collection)).to.deep.equal(before);
    const restored = clientOf({ url: targetServer.urls[0] ?? "", apiKey: targetServer.apiKey });
    await write(restored, "many", 1_001, 1_400, "second");
    expect(await target.count(collection), "overwritten, not doubled").to.equal(530);
    const points = Array.from({ length: 400 }, (_, n) => 1_001 + n);
    await restored.delete(collection, { wait: true, points, shard_key: "many" });
    expect(await target.count(collection), "deleted, every one").to.equal(130);
    const left = await restored.count(collection, { exact: true, shard_key: "7" });
    expect(left.count).to.equal(20);
  });

  it("is restored when no key was made yet, and when a key holds nothing", async () => {
    await makeTenants([]);
    await practice.restore(await practice.capture(source), target);
    expect(await placed(target)).to.deep.equal([]);
    await target.deleteCollection(collection);

    await source.createShardKey(collection, { key: "empty", shards: 2 });
    await practice.restore(await practice.capture(source), target);
    expect(await placed(target)).to.deep.equal([
      [1, "empty"],
      [2, "empty"],
    ]);
  });

  it("is restored with others at once: a shard key that is made while other collections are would hold all of them up", async () => {
    await makeTenants([
      ["first", 2],
      ["second", 1],
    ]);
    const others = ["notes", "pictures", "texts"];
    for (const name of others) {
      await client.createCollection(name, {
        vectors: { size: 2, distance: "Dot" },
        wal_config: { wal_capacity_mb: 1 },
      });
      await client.createPayloadIndex(name, { field_name: "tag", field_schema: "keyword", wait: true });
    }
    const { collections } = await practice.restore(await practice.capture(source), target);
    expect(collections).to.equal(4);
    expect(await target.collections()).to.have.members([collection, ...others]);
    expect(await placed(target)).to.deep.equal(await placed(source));
  });

  it("is refused before anything is touched where its ids cannot be made again, or no keys exist", async () => {
    await makeTenants([["first", 2]]);
    const recoveryPoint = await practice.capture(source);
    const withIds = (...ids: number[]): RecoveryPoint => ({
      ...recoveryPoint,
      collections: recoveryPoint.collections.map((captured) => ({
        ...captured,
        shards: captured.shards.map((shard, rank) => ({ ...shard, id: ids[rank] ?? shard.id })),
      })),
    });
    const repository = await asSeenElsewhere(practice.stores, practice.wrap);
    const planOf = (recoveryPoint: RecoveryPoint, target: Qdrant) =>
      errorOf(planRestore({ repository, recoveryPoint, target, clock: systemClock, progress: silently }));
    const alone = await QdrantServer.start();
    try {
      expect((await planOf(withIds(1, 3), target))?.message).to.match(/ids .*"first" are 1, 3/);
      expect((await planOf(recoveryPoint, databaseOf(alone)))?.message).to.match(/does not run in cluster mode/);
      expect(await planOf(recoveryPoint, target)).to.equal(undefined);
    } finally {
      await alone.stop();
    }
    expect(await target.collections()).to.deep.equal([]);
  });
});
