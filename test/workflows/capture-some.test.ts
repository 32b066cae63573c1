/** Captures that read some of the collections: the others are in the point as they were, and as of when they were read. */
import { expect } from "chai";
import type { Qdrant } from "../../runtime/adapters/qdrant/qdrant.ts";
import type { RecoveryPoint } from "../../runtime/domain/recovery-points/recovery-point.ts";
import { claimEpoch } from "../../runtime/repository/control/epochs.ts";
import { recordRestoreEnd, recordRestoreStart } from "../../runtime/repository/control/restore-records.ts";
import { OpenRepository } from "../../runtime/repository/repository.ts";
import { CaptureMemory } from "../../runtime/workflows/capture/capture-memory.ts";
import { captureRecoveryPoint } from "../../runtime/workflows/capture/capture-recovery-point.ts";
import { firstEpoch, silently, systemClock } from "../support/estates/recovery-estate.ts";
import { clientOf, contentOf, databaseOf, emptied, RecoveryPractice } from "../support/estates/recovery-practice.ts";
import { codeOf } from "../support/expect-code.ts";
import { QdrantServer } from "../support/servers/qdrant-server.ts";

describe("capture of some collections", function () {
  this.timeout(60_000);
  let server: QdrantServer;
  let target: QdrantServer;
  let source: Qdrant;
  let practice: RecoveryPractice;
  let memory: CaptureMemory;

  before(async () => {
    [server, target] = await Promise.all([QdrantServer.start(), QdrantServer.start()]);
    source = databaseOf(server);
  });

  after(async () => {
    await Promise.all([server?.stop(), target?.stop()]);
  });

  beforeEach("two collections and a point of both", async () => {
    await Promise.all([emptied(source), emptied(databaseOf(target))]);
    practice = await RecoveryPractice.start();
    memory = new CaptureMemory();
    for (const name of ["often", "seldom"]) {
      await make(name);
      await write(name, 1);
    }
  });

  async function make(name: string): Promise<void> {
    await clientOf(server).createCollection(name, {
      vectors: { size: 2, distance: "Dot" },
      wal_config: { wal_capacity_mb: 1 },
    });
  }

  async function write(name: string, id: number): Promise<void> {
    await clientOf(server).upsert(name, { wait: true, points: [{ id, vector: [id, 1], payload: { name } }] });
  }

  async function capture(chosen: readonly string[], database = source) {
    const repository = await OpenRepository.openOrCreate(practice.stores, practice.wrap);
    const report = await captureRecoveryPoint({
      region: "east",
      type: "incremental",
      database,
      repository,
      incremental: { memory, choose: () => chosen },
      clock: systemClock,
      progress: silently,
      toolVersion: "test",
    });
    return { report, recoveryPoint: await repository.readRecoveryPoint(report.recoveryPoint) };
  }

  const readAt = ({ collections }: RecoveryPoint, collection: string) =>
    collections.find(({ name }) => name === collection)?.shards[0]?.startedAt ?? "";

  it("holds what was not read as it was, stands for the older time, and restores whole", async () => {
    const first = await capture([]);
    expect(first.recoveryPoint.collections, "without a base all is read").to.have.lengthOf(2);
    const seldom = await contentOf(source, "seldom");
    await write("often", 2);
    await write("seldom", 2);

    const { recoveryPoint, report } = await capture(["often"]);

    expect(report).to.include({ isCommitted: true, time: recoveryPoint.time });
    expect(readAt(recoveryPoint, "seldom")).to.equal(readAt(first.recoveryPoint, "seldom"));
    expect(readAt(recoveryPoint, "often") > readAt(first.recoveryPoint, "often")).to.equal(true);
    expect(recoveryPoint.time).to.equal(readAt(first.recoveryPoint, "seldom"));
    await practice.restore(recoveryPoint, databaseOf(target));
    expect(await contentOf(databaseOf(target), "often")).to.deep.equal(await contentOf(source, "often"));
    expect(await contentOf(databaseOf(target), "seldom")).to.deep.equal(seldom);

    const all = await capture(["often", "seldom"]);
    expect(all.recoveryPoint.time > recoveryPoint.time).to.equal(true);
  });

  it("what was found unchanged stands for the time when it was, also in points that do not read it", async () => {
    const first = await capture([]);
    const unchanged = await capture(["seldom"]);
    expect(unchanged.report).to.include({ isUnchanged: true, recoveryPoint: first.recoveryPoint.id });
    expect(unchanged.report.time, "as old as what was not looked at").to.equal(readAt(first.recoveryPoint, "often"));
    const looked = await capture(["often"]);
    expect(looked.report.isUnchanged).to.equal(true);
    expect(looked.report.time > unchanged.report.time).to.equal(true);

    await write("often", 2);
    const { recoveryPoint } = await capture(["often"]);

    expect(recoveryPoint.time, "never goes back").to.equal(readAt(recoveryPoint, "seldom"));
    expect(recoveryPoint.time >= looked.report.time).to.equal(true);
  });

  it("reads a collection that is new, and leaves out one that is gone, chosen or not", async () => {
    await capture([]);
    await make("new");
    await source.deleteCollection("seldom");

    const { recoveryPoint, report } = await capture([]);

    expect(report.isCommitted).to.equal(true);
    expect(recoveryPoint.collections.map(({ name }) => name)).to.deep.equal(["new", "often"]);
  });

  it("a list of collections that comes back short leaves out nothing", async () => {
    await capture([]);
    await write("often", 2);
    const short = databaseOf(server);
    short.collections = async () => [];

    expect((await capture(["often"], short)).recoveryPoint.collections.map(({ name }) => name)).to.deep.equal([
      "often",
      "seldom",
    ]);
    await write("often", 3);
    memory = new CaptureMemory();
    const { recoveryPoint } = await capture(["often", "seldom"], short);
    expect(recoveryPoint.collections.map(({ name }) => name)).to.deep.equal(["often", "seldom"]);
  });

  it("an alias that takes the name of a collection is an alias, and where it leads is read", async () => {
    await make("other");
    const first = await capture([]);
    await write("other", 7);
    await source.deleteCollection("seldom");
    await source.createAlias({ alias: "seldom", collection: "other" });

    const { recoveryPoint } = await capture([]);

    expect(recoveryPoint.collections.map(({ name }) => name)).to.deep.equal(["often", "other"]);
    expect(readAt(recoveryPoint, "other") > readAt(first.recoveryPoint, "other")).to.equal(true);
    await practice.restore(recoveryPoint, databaseOf(target));
    expect(await contentOf(databaseOf(target), "seldom")).to.deep.equal(await contentOf(source, "other"));
  });

  it("where an alias is led anew is read, and all that is left when a collection is gone", async () => {
    const first = await capture([]);
    await source.createAlias({ alias: "live", collection: "seldom" });
    const led = await capture(["often"]);
    expect(readAt(led.recoveryPoint, "seldom") > readAt(first.recoveryPoint, "seldom")).to.equal(true);

    await source.deleteCollection("often");
    const { recoveryPoint } = await capture([]);
    expect(readAt(recoveryPoint, "seldom") > readAt(led.recoveryPoint, "seldom")).to.equal(true);
  });

  it("commits nothing when an alias is led during the capture to what it does not read; the next one reads it", async () => {
    await capture([]);
    await write("often", 2);
    const led = databaseOf(server);
    led.captureShard = async (...request) => {
      await source.createAlias({ alias: "live", collection: "seldom" });
      return source.captureShard(...request);
    };

    expect(await codeOf(capture(["often"], led))).to.equal("CAPTURE_INCOMPLETE");
    const { recoveryPoint } = await capture(["often"]);

    expect(readAt(recoveryPoint, "seldom") >= recoveryPoint.startedAt).to.equal(true);
    expect(recoveryPoint.aliases).to.deep.equal([{ alias: "live", collection: "seldom" }]);
  });

  it("does not take an emptied collection for a disk that was lost, nor the other way round: the next capture reads all", async () => {
    await capture([]);
    await clientOf(server).delete("often", { wait: true, points: [1] });

    expect(await codeOf(capture(["often"]))).to.equal("LINEAGE_BROKEN");
    const { recoveryPoint } = await capture(["often"]);

    expect(recoveryPoint.collections.map(({ name, pointsAfter }) => [name, pointsAfter])).to.deep.equal([
      ["often", 0],
      ["seldom", 1],
    ]);
  });

  it("reads all after a restore into the region, and when it does not remember the base", async () => {
    const first = await capture([]);
    const restore = {
      id: "r",
      recoveryPoint: first.recoveryPoint.id,
      collections: ["seldom"],
      at: first.recoveryPoint.finishedAt,
    };
    await recordRestoreStart(practice.stores.control, restore);
    await recordRestoreEnd(practice.stores.control, restore, new Date());
    const restored = await capture(["often"]);
    expect(readAt(restored.recoveryPoint, "seldom") > readAt(first.recoveryPoint, "seldom")).to.equal(true);

    await write("often", 2);
    const again = await capture(["often"]);
    expect(readAt(again.recoveryPoint, "seldom")).to.equal(readAt(restored.recoveryPoint, "seldom"));
    memory.forget();
    await write("often", 3);
    const { recoveryPoint } = await capture(["often"]);
    expect(readAt(recoveryPoint, "seldom") > readAt(again.recoveryPoint, "seldom")).to.equal(true);
  });

  it("is refused by name beside a point from before a restore", async () => {
    const { recoveryPoint } = await capture([]);
    const restore = { id: "r", recoveryPoint: recoveryPoint.id, collections: ["often"], at: recoveryPoint.finishedAt };
    await recordRestoreStart(practice.stores.control, restore);
    await recordRestoreEnd(practice.stores.control, restore, new Date());
    const repository = await OpenRepository.openOrCreate(practice.stores, practice.wrap);
    const named = captureRecoveryPoint({
      region: "east",
      type: "incremental",
      database: source,
      repository,
      collections: ["often"],
      clock: systemClock,
      progress: silently,
      toolVersion: "test",
    });

    expect(await codeOf(named)).to.equal("USAGE");
  });

  it("reads all in another epoch, whose versions say nothing of those before", async () => {
    const first = await capture([]);
    await write("seldom", 2);
    await claimEpoch(practice.stores.control, { ...firstEpoch, epoch: 2, reason: "switchover" });

    const { recoveryPoint } = await capture([]);

    expect(recoveryPoint.epoch).to.equal(2);
    expect(readAt(recoveryPoint, "seldom") > readAt(first.recoveryPoint, "seldom")).to.equal(true);
    await practice.restore(recoveryPoint, databaseOf(target));
    expect(await contentOf(databaseOf(target), "seldom")).to.deep.equal(await contentOf(source, "seldom"));
  });
});
