/** Workers of one capture that share nothing but the bucket, on a real Qdrant with shards in three collections. */
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { QdrantClient } from "@qdrant/js-client-rest";
import { expect } from "chai";
import type { Qdrant } from "../../runtime/adapters/qdrant/qdrant.ts";
import type { CaptureType, RecoveryPoint } from "../../runtime/domain/recovery-points/recovery-point.ts";
import { readCatalog } from "../../runtime/repository/catalog/read-catalog.ts";
import { OpenRepository } from "../../runtime/repository/repository.ts";
import { captureRecoveryPoint } from "../../runtime/workflows/capture/capture-recovery-point.ts";
import type { CaptureReport } from "../../runtime/workflows/capture/capture-report.ts";
import { asSeenElsewhere, type MemoryStores, silently, systemClock } from "../support/estates/recovery-estate.ts";
import { clientOf, contentOf, databaseOf, emptied, RecoveryPractice } from "../support/estates/recovery-practice.ts";
import { codeOf } from "../support/expect-code.ts";
import { Faults } from "../support/faults/faulty-store.ts";
import { QdrantServer } from "../support/servers/qdrant-server.ts";

const names = ["notes", "pages", "symbols"];
const workers = 3;

describe("workers of one capture", () => {
  let servers: QdrantServer[];
  let client: QdrantClient;
  let source: Qdrant;
  let target: Qdrant;
  let practice: RecoveryPractice;

  before(async () => {
    servers = await Promise.all([QdrantServer.start(), QdrantServer.start()]);
    const [first, second] = servers as [QdrantServer, QdrantServer];
    client = clientOf(first);
    [source, target] = [databaseOf(first), databaseOf(second)];
  });

  beforeEach(async () => {
    practice = await RecoveryPractice.start();
    await Promise.all([emptied(source), emptied(target)]);
    for (const name of names) {
      await client.createCollection(name, {
        vectors: { size: 4, distance: "Dot" },
        shard_number: 2,
        wal_config: { wal_capacity_mb: 1 },
      });
      await write(name, "first");
    }
  });

  after(async () => {
    await Promise.all((servers ?? []).map((server) => server.stop()));
  });

  async function write(name: string, tag: string): Promise<void> {
    const points = Array.from({ length: 60 }, (_, id) => ({ id, payload: { tag, id }, vector: [id, 1, 2, 3] }));
    await client.upsert(name, { wait: true, points });
  }

  async function work(
    index: number,
    session: string,
    { faults = new Faults(), type = "full" }: { faults?: Faults; type?: CaptureType } = {},
  ): Promise<CaptureReport> {
    const stores = { repository: faults.wrap(practice.stores.repository), control: practice.stores.control };
    const repository = await OpenRepository.openOrCreate(stores, practice.wrap);
    const told = { clock: systemClock, progress: silently, toolVersion: "test" };
    const worker = { index, count: workers, session };
    return captureRecoveryPoint({ region: "east", type, database: source, repository, worker, ...told });
  }

  async function pointsOf(stores: MemoryStores) {
    return (await readCatalog(await OpenRepository.open(stores, practice.wrap))).entries;
  }

  async function expectRestorable(recoveryPoint: string): Promise<void> {
    const repository = await asSeenElsewhere(practice.stores, practice.wrap);
    await practice.restore(await repository.readRecoveryPoint(recoveryPoint), target);
    for (const name of names) {
      expect(await contentOf(target, name), name).to.deep.equal(await contentOf(source, name));
    }
    await emptied(target);
  }

  it("make one point of all shards, whichever comes last commits it, and each shard is read once", async () => {
    const reports = await Promise.all([2, 0, 1].map((index) => work(index, "nightly")));

    expect(reports.some(({ isCommitted }) => isCommitted)).to.equal(true);
    expect(new Set(reports.map(({ recoveryPoint }) => recoveryPoint)).size).to.equal(1);
    const entries = await pointsOf(practice.stores);
    expect(entries.map(({ state }) => state)).to.deep.equal(["complete"]);
    expect(entries[0]?.recoveryPoint?.collections.map(({ shards }) => shards.map(({ id }) => id))).to.deep.equal([
      [0, 1],
      [0, 1],
      [0, 1],
    ]);
    expect(reports.every(({ readBytes }) => readBytes > 0)).to.equal(true);
    await expectRestorable(reports[0]?.recoveryPoint ?? "");

    for (const name of names) await write(name, "second");
    const again = [];
    for (const index of [0, 1, 2]) again.push(await work(index, "four-hourly", { type: "incremental" }));
    expect(again.map(({ isCommitted }) => isCommitted)).to.deep.equal([false, false, true]);
    await expectRestorable(again[0]?.recoveryPoint ?? "");
  });

  it("that are lost are done again by whoever has their number, and nothing is a point before", async () => {
    const alone = new Faults();
    await work(1, "measured", { faults: alone });
    for (const killAt of [5, alone.calls - 4, alone.calls - 1]) {
      const session = `killed-at-${killAt}`;
      await work(0, session);
      expect(await codeOf(work(1, session, { faults: new Faults({ killAt }) }))).to.equal("UNREACHABLE");
      const before = await pointsOf(practice.stores);
      expect((await work(2, session)).isCommitted, "one part is missing").to.equal(false);
      expect(await pointsOf(practice.stores)).to.deep.equal(before);

      const { isCommitted, recoveryPoint } = await work(1, session);

      expect(isCommitted).to.equal(true);
      await expectRestorable(recoveryPoint);
    }
  });

  it("that are started twice take the part that is done, and the point that is made", async () => {
    for (const index of [0, 1, 2]) await work(index, "twice");
    const objects = practice.stores.repository.objects.size;

    const again = await work(1, "twice");

    expect(again.isCommitted).to.equal(true);
    expect(practice.stores.repository.objects.size).to.equal(objects);
    expect(await pointsOf(practice.stores)).to.have.lengthOf(1);
  });

  it("of which one cannot read its part make a partial point, which names that part once and holds the rest", async () => {
    const [server] = servers as [QdrantServer];
    const [broken = "", ...others] = names;
    // As Qdrant leaves a shard that it did not finish to make.
    const mark = join(server.folder, "storage", "collections", broken, "shard_1.initializing");
    await server.kill();
    writeFileSync(mark, "");
    await server.restart();
    const reports = await Promise.all([0, 1, 2].map((index) => work(index, "partial")));
    await server.kill();
    rmSync(mark);
    await server.restart();

    expect(reports.some(({ isCommitted }) => isCommitted)).to.equal(true);
    const [entry, ...more] = await pointsOf(practice.stores);
    expect(more).to.deep.equal([]);
    expect(entry?.state).to.equal("complete");
    const { collections = [], missing = [] } = entry?.recoveryPoint ?? {};
    expect(missing.map(({ kind, name }) => `${kind} ${name}`)).to.deep.equal([`qdrant ${broken}`]);
    expect(missing[0]).not.to.have.property("heldAsOf");
    expect(collections.map(({ name }) => name)).to.have.members(others);
    await practice.restore(entry?.recoveryPoint as RecoveryPoint, target);
    for (const name of others) {
      expect(await contentOf(target, name), name).to.deep.equal(await contentOf(source, name));
    }
  });

  it("of another capture under the same name are refused", async () => {
    await work(0, "nightly");
    expect(await codeOf(work(1, "nightly", { type: "incremental" }))).to.equal("USAGE");
  });
});
