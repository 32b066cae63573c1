/** A restored collection has to take writes as its source did, and keep them. Two real Qdrants. */
import { expect } from "chai";
import type { Qdrant } from "../../runtime/adapters/qdrant/qdrant.ts";
import { clientOf, contentOf, databaseOf, emptied, RecoveryPractice } from "../support/estates/recovery-practice.ts";
import { QdrantServer } from "../support/servers/qdrant-server.ts";

const collection = "notes";
const points = (from: number, to: number, tag: string) =>
  Array.from({ length: to - from + 1 }, (_, n) => ({ id: from + n, payload: { tag }, vector: [from + n, 1, 2, 3] }));

describe("writes to a restored collection", function () {
  this.timeout(60_000);
  let sourceServer: QdrantServer;
  let targetServer: QdrantServer;
  let source: Qdrant;
  let target: Qdrant;

  before(async () => {
    [sourceServer, targetServer] = await Promise.all([QdrantServer.start(), QdrantServer.start()]);
    [source, target] = [databaseOf(sourceServer), databaseOf(targetServer)];
    const client = clientOf(sourceServer);
    await client.createCollection(collection, {
      vectors: { size: 4, distance: "Dot" },
      shard_number: 2,
      wal_config: { wal_capacity_mb: 1 },
    });
    // The more operations there were, the higher the versions of the points.
    for (let id = 1; id <= 300; id += 3) {
      await client.upsert(collection, { wait: true, points: points(id, id + 2, "captured") });
    }
  });

  after(async () => {
    await Promise.all([sourceServer?.stop(), targetServer?.stop()]);
  });

  afterEach("an empty target", async () => emptied(target));

  for (const type of ["full", "incremental"] as const) {
    it(`overwrite, delete and add points after a restore of a point captured ${type}, also after kills`, async () => {
      const practice = await RecoveryPractice.start();
      if (type === "incremental") {
        await practice.capture(source);
        await clientOf(sourceServer).upsert(collection, { wait: true, points: points(1, 5, "captured again") });
      }
      await practice.restore(await practice.capture(source, type), target);
      await targetServer.kill();
      await targetServer.restart();
      const client = clientOf(targetServer);

      await client.upsert(collection, { wait: true, points: points(1, 100, "overwritten") });
      await client.delete(collection, { wait: true, points: points(101, 200, "").map(({ id }) => id) });
      await client.upsert(collection, { wait: true, points: points(301, 400, "added") });
      const written = await contentOf(target, collection);
      await targetServer.kill();
      await targetServer.restart();

      const tags = written.map(({ payload }) => (payload as { tag: string }).tag);
      expect(tags.filter((tag) => tag === "overwritten")).to.have.lengthOf(100);
      expect(tags.filter((tag) => tag === "added")).to.have.lengthOf(100);
      expect(tags.filter((tag) => tag === "captured")).to.have.lengthOf(100);
      expect(await contentOf(target, collection)).to.deep.equal(written);
    });
  }
});
