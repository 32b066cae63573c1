/** Recovery points as plain Qdrant snapshots: written, uploaded to fresh real Qdrants by plain HTTP, and compared point by point. */
import { createReadStream, mkdirSync, mkdtempSync, openAsBlob, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { FolderOfNewFiles } from "../../runtime/adapters/folders/new-files.ts";
import { chooseReplicas } from "../../runtime/domain/qdrant/choose-replicas.ts";
import { snapshotFileName } from "../../runtime/domain/qdrant/collection-archive.ts";
import type { RecoveryPoint } from "../../runtime/domain/recovery-points/recovery-point.ts";
import { OpenRepository } from "../../runtime/repository/repository.ts";
import { type ExportReport, exportRecoveryPoint } from "../../runtime/workflows/export-recovery-point.ts";
import { silently } from "../support/estates/recovery-estate.ts";
import { clientOf, contentOf, databaseOf, RecoveryPractice } from "../support/estates/recovery-practice.ts";
import { codeOf } from "../support/expect-code.ts";
import { QdrantServer } from "../support/servers/qdrant-server.ts";

describe("a recovery point that is exported", function () {
  this.timeout(120_000);
  const folder = mkdtempSync(join(tmpdir(), "qdrant-dr-export-"));
  let source: QdrantServer;
  let alone: QdrantServer;
  let first: QdrantServer;
  let second: QdrantServer;
  let repository: OpenRepository;
  let recoveryPoint: RecoveryPoint;
  let report: ExportReport;
  const odd = "Größe & more. ".repeat(12);

  before(async () => {
    [source, alone, first] = await Promise.all([
      QdrantServer.start("first"),
      QdrantServer.start(),
      QdrantServer.start("first"),
    ]);
    second = await QdrantServer.start(first);
    const client = clientOf(source);
    const wal = { wal_config: { wal_capacity_mb: 1 } };
    await client.createCollection("notes", {
      vectors: {
        text: { size: 4, distance: "Cosine", on_disk: true },
        many: { size: 3, distance: "Dot", multivector_config: { comparator: "max_sim" } },
      },
      sparse_vectors: { words: { modifier: "idf" } },
      shard_number: 3,
      optimizers_config: { default_segment_number: 2 },
      quantization_config: { scalar: { type: "int8", always_ram: true } },
      ...wal,
    });
    await client.createPayloadIndex("notes", { field_name: "tag", field_schema: "keyword", wait: true });
    const number = { type: "integer", lookup: true, range: false } as const;
    await client.createPayloadIndex("notes", { field_name: "n", field_schema: number, wait: true });
    const points = Array.from({ length: 200 }, (_, id) => ({
      id,
      payload: { tag: `tag ${id % 5}`, n: id },
      vector: {
        text: [id, 1, 2, 3],
        many: [
          [id, 1, 0.5],
          [2, id, 0.5],
        ],
        ...(id % 3 === 0 ? {} : { words: { indices: [10, 20 + (id % 7)], values: [1, 0.5] } }),
      },
    }));
    await client.upsert("notes", { wait: true, points });
    await client.delete("notes", { wait: true, points: [3, 77, 199] });
    await client.createCollection("by-key", {
      vectors: { size: 2, distance: "Dot" },
      sharding_method: "custom",
      ...wal,
    });
    for (const key of ["us", 7]) {
      await client.createShardKey("by-key", { shard_key: key });
      const points = Array.from({ length: 20 }, (_, n) => ({ id: n + (key === 7 ? 100 : 0), vector: [n, 1] }));
      await client.upsert("by-key", { wait: true, shard_key: key, points });
    }
    await client.createCollection(odd, { vectors: { size: 2, distance: "Dot" }, ...wal });
    await client.updateCollectionAliases({
      actions: [{ create_alias: { alias_name: "current", collection_name: "notes" } }],
    });
    const practice = await RecoveryPractice.start();
    await practice.capture(databaseOf(source));
    await client.setPayload("notes", { wait: true, points: [5], payload: { later: true } });
    recoveryPoint = await practice.capture(databaseOf(source), "incremental");
    repository = await OpenRepository.open(practice.stores, practice.wrap);
    report = await exportRecoveryPoint({
      repository,
      recoveryPoint,
      files: new FolderOfNewFiles(join(folder, "all")),
      progress: silently,
    });
  });

  after(async () => {
    await Promise.all([source?.stop(), alone?.stop(), second?.stop()]);
    await first?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  /** As `curl -F snapshot=@file` does. */
  async function upload(server: QdrantServer, collection: string): Promise<void> {
    const { file } = report.collections.find((each) => each.collection === collection) ?? {};
    const form = new FormData();
    form.set("snapshot", await openAsBlob(file?.path ?? ""), "any.snapshot");
    const path = `/collections/${encodeURIComponent(collection)}/snapshots/upload?priority=snapshot&checksum=${file?.sha256}`;
    const answer = await fetch(server.url + path, {
      method: "POST",
      headers: { "api-key": server.apiKey },
      body: form,
    });
    expect(answer.status, await answer.text()).to.equal(200);
  }

  async function expectSame(server: QdrantServer, collection: string): Promise<void> {
    const [theirs, ours] = [databaseOf(server), databaseOf(source)];
    expect(await contentOf(theirs, collection)).to.deep.equal(await contentOf(ours, collection));
    expect(await theirs.describe(collection)).to.deep.equal(await ours.describe(collection));
    expect(await theirs.health(collection)).to.be.oneOf(["green", "grey", "yellow"]);
  }

  it("is a file for each collection, and says what no snapshot holds", () => {
    expect(readdirSync(join(folder, "all")).sort()).to.deep.equal(
      report.collections.map(({ collection }) => snapshotFileName(collection)).sort(),
    );
    expect(report.aliases).to.deep.equal([{ alias: "current", collection: "notes" }]);
    expect(
      report.collections.map(({ collection, points, shards }) => [collection, points, shards]),
    ).to.deep.include.members([
      ["notes", 197, 3],
      ["by-key", 40, 2],
    ]);
    expect(report.qdrantVersion).to.equal("1.16.3");
  });

  it("is restored by a fresh Qdrant without this tool: settings, indexes, shards and points; writes go on", async () => {
    for (const collection of ["notes", odd]) {
      await upload(alone, collection);
      await expectSame(alone, collection);
    }
    const client = clientOf(alone);
    expect(
      (await client.count("notes", { filter: { must: [{ key: "tag", match: { value: "tag 2" } }] } })).count,
    ).to.equal(39);
    await client.delete("notes", { wait: true, points: [1, 2] });
    await client.upsert("notes", { wait: true, points: [{ id: 1_000, vector: { text: [1, 2, 3, 4] } }] });
    expect((await client.count("notes")).count).to.equal(196);
    await alone.kill();
    await alone.restart();
    expect((await clientOf(alone).count("notes")).count).to.equal(196);
  });

  it("is restored by a cluster when each peer gets the file, and shard keys are made first in the order that is told", async () => {
    const { shardKeys } = report.collections.find(({ collection }) => collection === "by-key") ?? {};
    const empty = { vectors: { size: 2, distance: "Dot" }, sharding_method: "custom" } as const;
    await clientOf(first).createCollection("by-key", empty);
    expect(shardKeys).to.deep.equal(["us", 7]);
    for (const key of shardKeys ?? []) await clientOf(first).createShardKey("by-key", { shard_key: key as string });
    for (const collection of ["notes", "by-key"]) {
      for (const peer of [first, second]) await upload(peer, collection);
      const client = clientOf(first);
      expect((await client.count(collection, { exact: true })).count).to.equal(collection === "notes" ? 197 : 40);
    }
    const both = { urls: [first.url, second.url], apiKey: first.apiKey };
    for (const collection of ["notes", "by-key"]) {
      expect(await contentOf(databaseOf(both), collection)).to.deep.equal(
        await contentOf(databaseOf(source), collection),
      );
    }
    // Each upload gives its peer every shard. Whether other replicas go, and when, depends on what that peer knows by then.
    const shardsOf = async (database: ReturnType<typeof databaseOf>) =>
      chooseReplicas(await database.shards("by-key")).map(({ id, key }) => [id, key]);
    expect(await shardsOf(databaseOf(both))).to.deep.equal(await shardsOf(databaseOf(source)));
  });

  it("replaces no file, leaves nothing half-made, and names what is not in the recovery point", async () => {
    const at = join(folder, "taken");
    mkdirSync(at);
    writeFileSync(join(at, "notes.snapshot"), "mine");
    const request = { repository, recoveryPoint, files: new FolderOfNewFiles(at), progress: silently };
    expect(await codeOf(exportRecoveryPoint(request))).to.equal("TARGET_NOT_EMPTY");
    expect(await codeOf(exportRecoveryPoint({ ...request, only: ["none"] }))).to.equal("USAGE");
    const broken = async function* () {
      yield Buffer.from("half");
      throw new Error("broken off");
    };
    await new FolderOfNewFiles(at).write("other.snapshot", broken()).catch(() => undefined);
    expect(readdirSync(at)).to.deep.equal(["notes.snapshot"]);
    const [chunk] = await createReadStream(join(at, "notes.snapshot")).toArray();
    expect(String(chunk)).to.equal("mine");
  });
});
