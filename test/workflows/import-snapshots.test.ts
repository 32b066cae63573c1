/** Plain Qdrant snapshots become a recovery point that restores like any other, is never the newest, and disturbs no capture. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { openSnapshotFile } from "../../runtime/adapters/folders/snapshot-file.ts";
import { shardTreeSchema } from "../../runtime/domain/recovery-points/shard-tree.ts";
import { OpenRepository } from "../../runtime/repository/repository.ts";
import { findRecoveryPoint } from "../../runtime/workflows/find-recovery-point.ts";
import { type ImportRequest, importSnapshots } from "../../runtime/workflows/import-snapshots.ts";
import { silently, systemClock } from "../support/estates/recovery-estate.ts";
import { clientOf, contentOf, databaseOf, emptied, RecoveryPractice } from "../support/estates/recovery-practice.ts";
import { codeOf, errorOf } from "../support/expect-code.ts";
import { QdrantCluster } from "../support/servers/qdrant-cluster.ts";
import { QdrantServer } from "../support/servers/qdrant-server.ts";

const told = { clock: systemClock, progress: silently };

describe("plain Qdrant snapshots that are imported", function () {
  this.timeout(60_000);
  const folder = mkdtempSync(join(tmpdir(), "qdrant-dr-import-"));
  let server: QdrantServer;
  let target: QdrantServer;
  let practice: RecoveryPractice;
  let file: string;
  let wasThen: unknown;

  before(async () => {
    [server, target] = await Promise.all([QdrantServer.start(), QdrantServer.start()]);
    practice = await RecoveryPractice.start();
    const client = clientOf(server);
    const wal = { wal_config: { wal_capacity_mb: 1 } };
    await client.createCollection("notes", { vectors: { size: 2, distance: "Dot" }, shard_number: 2, ...wal });
    await client.createPayloadIndex("notes", { field_name: "n", field_schema: "integer", wait: true });
    const points = Array.from({ length: 50 }, (_, id) => ({ id, payload: { n: id }, vector: [id, 1] }));
    await client.upsert("notes", { wait: true, points });
    wasThen = await contentOf(databaseOf(server), "notes");
    const made = await client.createSnapshot("notes");
    const path = `${server.url}/collections/notes/snapshots/${made?.name}`;
    const answer = await fetch(path, { headers: { "api-key": server.apiKey } });
    file = join(folder, made?.name ?? "");
    writeFileSync(file, Buffer.from(await answer.arrayBuffer()));
    await client.delete("notes", { wait: true, points: [1, 2, 3] });
    await client.createCollection("other", { vectors: { size: 2, distance: "Dot" }, ...wal });
  });

  after(async () => {
    await Promise.all([server?.stop(), target?.stop()]);
    rmSync(folder, { recursive: true, force: true });
  });

  const repository = () => OpenRepository.openOrCreate(practice.stores, practice.wrap);

  async function imported(path: string, changes: Partial<ImportRequest> = {}) {
    return importSnapshots({
      region: "east",
      repository: await repository(),
      database: databaseOf(server),
      peerUrl: server.url,
      files: [await openSnapshotFile(path)],
      runner: { mark: "here", isDead: () => false },
      clock: systemClock,
      progress: silently,
      toolVersion: "test",
      ...changes,
    });
  }

  it("restore by the id, say where they are from, and leave the live collections and the captures as they were", async () => {
    const live = await contentOf(databaseOf(server), "notes");
    const before = await practice.capture(databaseOf(server));
    const report = await imported(file);
    expect(report.collections).to.have.lengthOf(1);
    expect(report.collections[0]).to.deep.include({
      collection: "notes",
      points: 50,
      bytes: readFileSync(file).length,
    });
    expect(await databaseOf(server).scratchCollections()).to.deep.equal([]);
    expect(await contentOf(databaseOf(server), "notes")).to.deep.equal(live);

    const recoveryPoint = await findRecoveryPoint(await repository(), report.recoveryPoint, {}, told);
    expect(recoveryPoint.imported?.map(({ collection }) => collection)).to.deep.equal(["notes"]);
    expect(recoveryPoint.collections.map(({ name }) => name)).to.deep.equal(["notes"]);
    expect(recoveryPoint.collections.flatMap(({ shards }) => shards.map(({ isExact }) => isExact))).to.deep.equal([
      false,
      false,
    ]);
    await practice.restore(recoveryPoint, databaseOf(target));
    expect(await contentOf(databaseOf(target), "notes")).to.deep.equal(wasThen);
    expect((await databaseOf(target).describe("notes")).payloadIndexes).to.deep.equal(
      (await databaseOf(server).describe("notes")).payloadIndexes,
    );
    await emptied(databaseOf(target));

    expect((await findRecoveryPoint(await repository(), "latest", {}, told)).id).to.equal(before.id);
    const next = await practice.capture(databaseOf(server), "incremental");
    expect(next.base).to.equal(before.id);
    expect(next.collections.map(({ name }) => name)).to.deep.equal(["notes", "other"]);
    const lineageOf = async ({ collections }: typeof next) =>
      (await (await repository()).readTree(collections[0]?.shards[0]?.tree.id ?? "", shardTreeSchema)).lineage;
    expect(await lineageOf(next), "versions still compare").to.equal(await lineageOf(before));
  });

  it("are refused before anything is made when they are none, are cut, or are named twice; nothing is left", async () => {
    const [text, cut] = [join(folder, "text.snapshot"), join(folder, "cut.snapshot")];
    writeFileSync(text, "no archive");
    writeFileSync(cut, readFileSync(file).subarray(0, 100_000));
    const objects = practice.stores.repository.objects.size;
    expect((await errorOf(imported(text)))?.code).to.equal("NOT_SUPPORTED");
    expect((await errorOf(imported(cut)))?.message).to.contain("was cut off");
    const twice = [await openSnapshotFile(file), await openSnapshotFile(file)];
    expect(await codeOf(imported(file, { files: twice }))).to.equal("USAGE");
    expect(await codeOf(imported(file, { files: twice, collection: "notes" }))).to.equal("USAGE");
    expect(await codeOf(openSnapshotFile(join(folder, "none")))).to.equal("USAGE");
    expect(practice.stores.repository.objects.size).to.equal(objects);
    expect(await databaseOf(server).scratchCollections()).to.deep.equal([]);
  });

  it("of one peer of a cluster, which hold its own shards alone, are refused before anything is made, with how many they hold", async () => {
    const cluster = await QdrantCluster.start(2);
    try {
      const [first] = cluster.servers as [QdrantServer, QdrantServer];
      const client = clientOf(first);
      const wal = { wal_config: { wal_capacity_mb: 1 } };
      await client.createCollection("spread", { vectors: { size: 2, distance: "Dot" }, shard_number: 4, ...wal });
      const points = Array.from({ length: 100 }, (_, id) => ({ id, vector: [id, 1] }));
      await client.upsert("spread", { wait: true, points });
      const made = await client.createSnapshot("spread", { wait: true });
      const answer = await fetch(`${first.url}/collections/spread/snapshots/${made?.name}`, {
        headers: { "api-key": first.apiKey },
      });
      const path = join(folder, made?.name ?? "");
      writeFileSync(path, Buffer.from(await answer.arrayBuffer()));
      const objects = practice.stores.repository.objects.size;
      const error = await errorOf(imported(path));
      expect(error?.code).to.equal("NOT_SUPPORTED");
      expect(error?.message).to.match(/holds [1-3] of 4 shards: a snapshot that one peer of a cluster made/);
      expect(practice.stores.repository.objects.size).to.equal(objects);
    } finally {
      await cluster.stop();
    }
  });

  it("leave nothing when the Qdrant that restores them refuses", async () => {
    const refusing = databaseOf(server);
    refusing.restoreSnapshot = (name) =>
      databaseOf(server).restoreSnapshot(
        name,
        (async function* () {
          yield Buffer.from("no archive");
        })(),
      );
    const error = await errorOf(imported(file, { database: refusing, collection: "as-another" }));
    expect(error?.code).to.equal("QDRANT_REFUSED");
    expect(error?.message).to.contain("does not restore it");
    expect(await databaseOf(server).scratchCollections()).to.deep.equal([]);
  });
});
