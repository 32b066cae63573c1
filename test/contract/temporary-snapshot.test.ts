/** A collection snapshot that a capture borrows from a real server is gone afterwards, and nobody else's ever is. */
import { setTimeout as sleep } from "node:timers/promises";
import { QdrantClient } from "@qdrant/js-client-rest";
import { expect } from "chai";
import { Qdrant } from "../../runtime/adapters/qdrant/qdrant.ts";
import type { CollectionSnapshot, ShardPlacement } from "../../runtime/ports/qdrant.ts";
import { recordSnapshot } from "../../runtime/repository/control/snapshot-records.ts";
import { TemporarySnapshots } from "../../runtime/workflows/capture/shard/temporary-snapshot.ts";
import { allOf } from "../support/all-of.ts";
import { systemClock } from "../support/estates/recovery-estate.ts";
import { codeOf } from "../support/expect-code.ts";
import { MemoryStore } from "../support/servers/memory-store.ts";
import { QdrantServer } from "../support/servers/qdrant-server.ts";
import { clockShowing } from "../support/time/clock-showing.ts";

const collection = "notes";

describe("a borrowed snapshot", function () {
  this.timeout(60_000);
  let server: QdrantServer;
  let qdrant: Qdrant;
  let client: QdrantClient;
  let shard: ShardPlacement;
  let users: string;

  before(async () => {
    server = await QdrantServer.start();
    qdrant = new Qdrant({ peers: [server.url], apiKey: server.apiKey });
    client = new QdrantClient({ url: server.url, headers: { "api-key": server.apiKey }, checkCompatibility: false });
    const vectors = { size: 2, distance: "Dot" } as const;
    await client.createCollection(collection, { vectors, shard_number: 2, wal_config: { wal_capacity_mb: 1 } });
    await client.upsert(collection, { wait: true, points: [{ id: 1, vector: [1, 2] }] });
    shard = (await qdrant.shards(collection))[1] as ShardPlacement;
    users = ((await client.createSnapshot(collection)) as { name: string }).name;
    // Two of one second would share a name.
    while (isSecondOf(users)) await sleep(20);
  });

  after(async () => {
    await server?.stop();
  });

  const isSecondOf = (name: string) => name.includes(new Date().toISOString().slice(0, 19).replaceAll(/[T:]/g, "-"));

  function partsOf(control = new MemoryStore(), database = qdrant) {
    return { database, control, clock: systemClock };
  }

  const daysLater = (days: number) => clockShowing(() => new Date(Date.now() + days * 86_400_000));

  it("brings the shard with its log, and is deleted when it is given back", async () => {
    const parts = partsOf();
    const snapshot = await new TemporarySnapshots(parts).take(collection, shard);
    expect(await qdrant.snapshots(collection, shard)).to.have.lengthOf(2);

    const paths = (await allOf(snapshot.read())).map(({ path }) => path);
    await snapshot.remove();

    expect(paths).to.include.members(["replica_state.json", "shard_config.json", "wal/open-1"]);
    expect(paths.some((path) => /^segments\/[^/]+\/files\/segment\.json$/.test(path))).to.equal(true);
    expect(await qdrant.snapshots(collection, shard)).to.deep.equal([users]);
    expect(await new TemporarySnapshots({ ...parts, clock: daysLater(9) }).removeLeft()).to.deep.equal({
      removed: [],
      unsure: [],
    });
  });

  it("ends in an error when its bytes are not those that were made, and is deleted all the same", async () => {
    class Damaging extends Qdrant {
      override async createSnapshot(...request: Parameters<Qdrant["createSnapshot"]>): Promise<CollectionSnapshot> {
        return { ...(await super.createSnapshot(...request)), sha256: "0".repeat(64) };
      }
    }
    const damaging = new Damaging({ peers: [server.url], apiKey: server.apiKey });
    const snapshot = await new TemporarySnapshots(partsOf(new MemoryStore(), damaging)).take(collection, shard);

    expect(await codeOf(allOf(snapshot.read()))).to.equal("CAPTURE_INCOMPLETE");
    await snapshot.remove();

    expect(await qdrant.snapshots(collection, shard)).to.deep.equal([users]);
  });

  it("is removed by a later run when its own was killed, and no earlier than a living one reads it", async () => {
    const parts = partsOf();
    await new TemporarySnapshots(parts).take(collection, shard);
    const left = (await qdrant.snapshots(collection, shard)).filter((name) => name !== users);
    expect(left).to.have.lengthOf(1);

    expect(await new TemporarySnapshots(parts).removeLeft()).to.deep.equal({ removed: [], unsure: [] });
    expect(await new TemporarySnapshots({ ...parts, clock: daysLater(1) }).removeLeft()).to.deep.equal({
      removed: left,
      unsure: [],
    });

    expect(await qdrant.snapshots(collection, shard)).to.deep.equal([users]);
    expect(await new TemporarySnapshots({ ...parts, clock: daysLater(1) }).removeLeft()).to.deep.equal({
      removed: [],
      unsure: [],
    });
  });

  it("is told and kept when its run was killed before the name was known: it may be anybody's", async () => {
    const parts = partsOf();
    const at = new Date().toISOString();
    const record = { id: "killed", collection, shard: shard.id, peer: shard.peer, at, before: [users] };
    await recordSnapshot(parts.control, record, "making");
    const { name } = await qdrant.createSnapshot(collection, shard);

    const later = { ...parts, clock: daysLater(2) };
    expect(await new TemporarySnapshots(later).removeLeft()).to.deep.equal({ removed: [], unsure: [name] });
    expect(await qdrant.snapshots(collection, shard)).to.have.members([users, name]);
    await client.deleteSnapshot(collection, name);

    expect(await new TemporarySnapshots(later).removeLeft()).to.deep.equal({ removed: [], unsure: [] });
  });

  it("leaves alone what had its name before: two of one second share it", async () => {
    class SameSecond extends Qdrant {
      override async createSnapshot(): Promise<CollectionSnapshot> {
        return { name: users };
      }
    }
    const parts = partsOf(new MemoryStore(), new SameSecond({ peers: [server.url], apiKey: server.apiKey }));

    const snapshot = await new TemporarySnapshots(parts).take(collection, shard);
    await snapshot.remove();
    await new TemporarySnapshots(parts).take(collection, shard);
    await new TemporarySnapshots({ ...parts, clock: daysLater(2) }).removeLeft();

    expect(await qdrant.snapshots(collection, shard)).to.deep.equal([users]);
  });

  it("stays on record when its server is gone before it can be deleted", async () => {
    const parts = partsOf();
    const snapshot = await new TemporarySnapshots(parts).take(collection, shard);
    await server.kill();
    await snapshot.remove();
    await server.restart();

    const { removed } = await new TemporarySnapshots({ ...parts, clock: daysLater(2) }).removeLeft();

    expect(removed).to.have.lengthOf(1);
    expect(await qdrant.snapshots(collection, shard)).to.deep.equal([users]);
  });
});
