/** Plain Qdrant snapshots become a recovery point that restores like any other, is never the newest, and disturbs no capture. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { FolderOfNewFiles } from "../../runtime/adapters/folders/new-files.ts";
import { openSnapshotFile } from "../../runtime/adapters/folders/snapshot-file.ts";
import { chooseReplicas } from "../../runtime/domain/qdrant/choose-replicas.ts";
import { shardTreeSchema } from "../../runtime/domain/recovery-points/shard-tree.ts";
import { OpenRepository } from "../../runtime/repository/repository.ts";
import { waitUntil } from "../../runtime/time/wait-until.ts";
import { exportRecoveryPoint } from "../../runtime/workflows/export-recovery-point.ts";
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
      files: changes.files ?? [await openSnapshotFile(path)],
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
    const [notes] = report.collections;
    expect(notes).to.include({ collection: "notes", points: 50, shards: 2 });
    expect(notes?.snapshots.map(({ bytes }) => bytes)).to.deep.equal([readFileSync(file).length]);
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

  describe("of the peers of a cluster", () => {
    let cluster: QdrantCluster;
    let alone: QdrantServer;
    const whole = () => databaseOf({ urls: cluster.urls, apiKey: cluster.apiKey });
    const madeBy = new Map<string, string[]>();

    before(async () => {
      [cluster, alone] = await Promise.all([QdrantCluster.start(3), QdrantServer.start("first")]);
      const [first] = cluster.servers as [QdrantServer];
      const client = clientOf(first);
      const size = { vectors: { size: 2, distance: "Dot" }, wal_config: { wal_capacity_mb: 1 } } as const;
      await client.createCollection("spread", { ...size, shard_number: 4, replication_factor: 2 });
      await client.createPayloadIndex("spread", { field_name: "n", field_schema: "integer", wait: true });
      const points = Array.from({ length: 100 }, (_, id) => ({ id, payload: { n: id }, vector: [id, 1] }));
      await client.upsert("spread", { wait: true, points });
      await client.createCollection("keyed", { ...size, sharding_method: "custom", replication_factor: 2 });
      for (const key of ["us", 7, "eu"]) {
        await client.createShardKey("keyed", { shard_key: key });
        const points = Array.from({ length: 20 }, (_, n) => ({ id: n + 100 * String(key).length, vector: [n, 1] }));
        await client.upsert("keyed", { wait: true, shard_key: key, points });
      }
      // Leaves ids between those of the others that no shard has.
      await client.deleteShardKey("keyed", { shard_key: 7 });
      for (const name of ["spread", "keyed"]) {
        madeBy.set(name, []);
        for (const peer of cluster.servers) madeBy.get(name)?.push(await snapshotOf(peer, name));
      }
    });

    after(async () => {
      await Promise.all([cluster?.stop(), alone?.stop()]);
    });

    async function snapshotOf(peer: QdrantServer, name: string): Promise<string> {
      const made = await clientOf(peer).createSnapshot(name, { wait: true });
      const answer = await fetch(`${peer.url}/collections/${name}/snapshots/${made?.name}`, {
        headers: { "api-key": peer.apiKey },
      });
      const path = join(folder, made?.name ?? "");
      writeFileSync(path, Buffer.from(await answer.arrayBuffer()));
      return path;
    }

    const filesOf = (...paths: readonly (string | undefined)[]) =>
      Promise.all(paths.map((path) => openSnapshotFile(path ?? "")));

    /** Restores it into an empty Qdrant in cluster mode. */
    async function expectRestored(id: string, name: string): Promise<void> {
      const recoveryPoint = await findRecoveryPoint(await repository(), id, {}, told);
      expect(recoveryPoint.collections.map((each) => each.name)).to.deep.equal([name]);
      const target = databaseOf(alone);
      await practice.restore(recoveryPoint, target);
      expect(await contentOf(target, name)).to.deep.equal(await contentOf(whole(), name));
      expect((await target.describe(name)).payloadIndexes).to.deep.equal((await whole().describe(name)).payloadIndexes);
      const shardsOf = async (database: typeof target) =>
        chooseReplicas(await database.shards(name)).map(({ id, key }) => [id, key]);
      expect(await shardsOf(target)).to.deep.equal(await shardsOf(whole()));
      await emptied(target);
    }

    it("become one recovery point", async () => {
      const files = await filesOf(...(madeBy.get("spread") ?? []));
      const report = await imported("", { files });
      const [spread, ...others] = report.collections;
      expect(others).to.deep.equal([]);
      expect(spread).to.include({ collection: "spread", points: 100, shards: 4 });
      expect(spread?.snapshots.map(({ file }) => file)).to.deep.equal(files.map(({ name }) => name));
      expect(await databaseOf(server).scratchCollections()).to.deep.equal([]);
      await expectRestored(report.recoveryPoint, "spread");
    });

    it("are refused before anything is made when shards are missing, or when a peer or two collections are mixed", async () => {
      const [one, ...rest] = madeBy.get("spread") ?? [];
      const objects = practice.stores.repository.objects.size;
      const missing = await errorOf(imported("", { files: await filesOf(rest[0]) }));
      expect(missing?.code).to.equal("NOT_SUPPORTED");
      expect(missing?.message).to.match(/hold [1-3] of 4 shards: each peer of a cluster writes its own alone/);
      const again = await snapshotOf(cluster.servers[0] as QdrantServer, "spread");
      const twice = await errorOf(imported("", { files: await filesOf(one, ...rest, again) }));
      expect(twice?.message).to.match(/both hold shard \d of spread, of the same peer/);
      const [keyed] = madeBy.get("keyed") ?? [];
      const mixed = await errorOf(imported("", { files: await filesOf(one, keyed), collection: "spread" }));
      expect(mixed?.message).to.contain("are not of the same spread");
      expect(practice.stores.repository.objects.size).to.equal(objects);
    });

    it("bring their shard keys with the same ids, through a cluster or one Qdrant in cluster mode, and again from what export writes of them", async () => {
      const files = await filesOf(...(madeBy.get("keyed") ?? []));
      const refused = await errorOf(imported("", { files }));
      expect(refused?.code).to.equal("NOT_SUPPORTED");
      expect(refused?.message).to.contain("shard keys, which a Qdrant outside cluster mode does not know");
      const first = await imported("", { files, database: whole() });
      await waitUntil(
        systemClock,
        { withinMs: 10_000, everyMs: 20, what: "every peer to know that the scratch collection is gone" },
        async () => (await whole().scratchCollections()).length === 0,
      );
      await expectRestored(first.recoveryPoint, "keyed");

      const into = new FolderOfNewFiles(join(folder, "exported"));
      const recoveryPoint = await findRecoveryPoint(await repository(), first.recoveryPoint, {}, told);
      const written = { repository: await repository(), recoveryPoint, files: into, progress: silently };
      const { collections } = await exportRecoveryPoint(written);
      const exported = await filesOf(collections[0]?.file.path);
      const second = await imported("", { files: exported, database: databaseOf(alone) });
      expect(second.collections[0]).to.include({ collection: "keyed", points: 40, shards: 2 });
      await expectRestored(second.recoveryPoint, "keyed");
    });
  });

  it("leave nothing when the Qdrant that restores them refuses", async () => {
    const refusing = databaseOf(server);
    refusing.restoreShard = (name, shard) =>
      databaseOf(server).restoreShard(
        name,
        shard,
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
