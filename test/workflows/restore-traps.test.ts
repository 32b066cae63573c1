/** What Qdrant takes without a word and what is wrong all the same. Each trap was seen on real servers, as here. */
import { basename } from "node:path";
import { Readable } from "node:stream";
import type { QdrantClient } from "@qdrant/js-client-rest";
import { expect } from "chai";
import { Qdrant } from "../../runtime/adapters/qdrant/qdrant.ts";
import type { SegmentManifest } from "../../runtime/domain/qdrant/segment-manifest.ts";
import { type OutgoingEntry, readSparseTar, writeSparseTar } from "../../runtime/domain/qdrant/sparse-tar.ts";
import type { RecoveryPoint } from "../../runtime/domain/recovery-points/recovery-point.ts";
import { type ShardTree, shardTreeSchema } from "../../runtime/domain/recovery-points/shard-tree.ts";
import type { CollectionDescription, ShardPlacement } from "../../runtime/ports/qdrant.ts";
import { readFiles } from "../../runtime/repository/content/file-reader.ts";
import type { OpenRepository } from "../../runtime/repository/repository.ts";
import { asSeenElsewhere } from "../support/estates/recovery-estate.ts";
import { clientOf, contentOf, databaseOf, emptied, RecoveryPractice } from "../support/estates/recovery-practice.ts";
import { errorOf } from "../support/expect-code.ts";
import { QdrantServer } from "../support/servers/qdrant-server.ts";

const collection = "notes";
const textIndex = {
  type: "text",
  tokenizer: "word",
  lowercase: true,
  phrase_matching: true,
  stemmer: { type: "snowball", language: "english" },
} as const;

describe("traps of capture and restore", function () {
  this.timeout(60_000);
  let sourceServer: QdrantServer;
  let targetServer: QdrantServer;
  let source: Qdrant;
  let target: Qdrant;
  let client: QdrantClient;
  let practice: RecoveryPractice;
  let recoveryPoint: RecoveryPoint;

  before(async () => {
    [sourceServer, targetServer] = await Promise.all([QdrantServer.start(), QdrantServer.start()]);
    [source, target] = [databaseOf(sourceServer), databaseOf(targetServer)];
    client = clientOf(sourceServer);
    await make(collection);
    await client.createPayloadIndex(collection, { field_name: "body", field_schema: textIndex, wait: true });
    await write(1, 200);
    practice = await RecoveryPractice.start();
    recoveryPoint = await practice.capture(source);
  });

  after(async () => {
    await Promise.all([sourceServer?.stop(), targetServer?.stop()]);
  });

  afterEach("an empty target", async () => emptied(target));

  async function make(name: string): Promise<void> {
    await client.createCollection(name, {
      vectors: { size: 4, distance: "Dot" },
      sparse_vectors: { words: {} },
      shard_number: 2,
      optimizers_config: { default_segment_number: 1 },
      wal_config: { wal_capacity_mb: 1 },
    });
  }

  function pointsOf(from: number, to: number, body = "running dogs") {
    const ids = Array.from({ length: to - from + 1 }, (_, n) => from + n);
    const sparse = (id: number) => ({ words: { indices: [id % 9, 10], values: [1, 0.5] } });
    return ids.map((id) => ({ id, payload: { body }, vector: { "": [id, 1, id % 7, 0.5], ...sparse(id) } }));
  }

  async function write(from: number, to: number): Promise<void> {
    await client.upsert(collection, { wait: true, points: pointsOf(from, to) });
  }

  /** A Qdrant at which something is done otherwise. */
  const altered = (server: QdrantServer, changes: Partial<Qdrant>): Qdrant =>
    Object.assign(new Qdrant({ peers: [server.url], apiKey: server.apiKey }), changes);

  const refuseShards = async () => {
    throw new Error("a shard was sent");
  };

  it("index definitions: the target's would win silently, so that other ones are refused before a shard is sent", async () => {
    const changed = altered(targetServer, {
      createPayloadIndex: (name, field) => target.createPayloadIndex(name, field, { type: "text", tokenizer: "word" }),
      restoreShard: refuseShards,
    });
    expect((await errorOf(practice.restore(recoveryPoint, changed)))?.message).to.match(/other payload indexes/);
    await emptied(target);

    await practice.restore(recoveryPoint, target);
    const restored = clientOf(targetServer);
    const filter = { must: [{ key: "body", match: { phrase: "run dog" } }] };
    const [there, here] = [restored, client].map((asked) => asked.count(collection, { exact: true, filter }));
    expect((await here)?.count).to.equal(200);
    expect((await there)?.count).to.equal(200);
  });

  for (const [mode, isClustered, mostAtOnce] of [
    ["outside cluster mode", false, 2],
    ["in cluster mode, where some would stay empty", true, 1],
  ] as const) {
    it(`shards of a collection: ${mostAtOnce} at a time ${mode}`, async () => {
      let [atOnce, most] = [0, 0];
      const both = Promise.withResolvers<void>();
      const watched = altered(targetServer, {
        isClustered: async () => isClustered,
        restoreShard: async (...shard) => {
          atOnce += 1;
          most = Math.max(most, atOnce);
          if (atOnce === mostAtOnce) both.resolve();
          await both.promise;
          await target.restoreShard(...shard);
          atOnce -= 1;
        },
      });

      await practice.restore(recoveryPoint, watched);

      expect(most).to.equal(mostAtOnce);
      expect(await contentOf(target, collection)).to.deep.equal(await contentOf(source, collection));
    });
  }

  const wrong: readonly (readonly [what: string, params: object])[] = [
    ["vectors of another size", { vectors: { size: 3, distance: "Dot" } }],
    ["a missing sparse vector", { sparse_vectors: null }],
    ["another datatype", { vectors: { size: 4, distance: "Dot", datatype: "uint8" } }],
    ["another number of shards", { shard_number: 3 }],
  ];
  for (const [what, params] of wrong) {
    it(`configuration: a target that makes the collection with ${what} gets no shard`, async () => {
      const changed = altered(targetServer, {
        createCollection: (description: CollectionDescription, onOutcome) => {
          const captured = description.config["params"] as object;
          const config = { ...description.config, params: { ...captured, ...params } };
          return target.createCollection({ ...description, config }, onOutcome);
        },
        restoreShard: refuseShards,
      });

      expect((await errorOf(practice.restore(recoveryPoint, changed)))?.message).to.match(/another params/);
    });
  }

  it("the archive of another shard or collection: Qdrant takes it, so that a tree's own names are compared", async () => {
    await make("other");
    const both = await practice.capture(source);
    await source.deleteCollection("other");
    const shardsOf = (name: string) => both.collections.find((captured) => captured.name === name)?.shards ?? [];
    const treesOf = (name: string) => shardsOf(name).map(({ tree }) => tree);
    const withTrees = (trees: ReturnType<typeof treesOf>): RecoveryPoint => ({
      ...both,
      collections: both.collections
        .filter(({ name }) => name === collection)
        .map((captured) => ({
          ...captured,
          shards: captured.shards.map((shard, rank) => ({ ...shard, tree: trees[rank] ?? shard.tree })),
        })),
    });

    for (const trees of [treesOf(collection).reverse(), treesOf("other")]) {
      expect((await errorOf(practice.restore(withTrees(trees), target)))?.code).to.equal("OBJECT_CORRUPT");
      await emptied(target);
    }
    await practice.restore(withTrees(treesOf(collection)), target);
  });

  it("missing files: an archive that lacks one that its manifest names is no capture, whichever it is", async () => {
    const paths = new Set<string>();
    const lacking = (isLost: (path: string) => boolean) =>
      altered(sourceServer, {
        captureShard: async (...request) => {
          const stream = await source.captureShard(...request);
          if (stream === undefined) return undefined;
          return Readable.from(writeSparseTar(entriesWithout(isLost, stream)), { objectMode: false });
        },
      });
    async function* entriesWithout(isLost: (path: string) => boolean, stream: Readable): AsyncGenerator<OutgoingEntry> {
      for await (const { content, path, size, type } of readSparseTar(stream)) {
        if (type === "file") paths.add(path);
        const pieces: Buffer[] = [];
        const regions: { offset: number; length: number }[] = [];
        for await (const { bytes, offset } of content) {
          pieces.push(Buffer.from(bytes));
          const last = regions.at(-1);
          if (last !== undefined && last.offset + last.length === offset) last.length += bytes.length;
          else regions.push({ offset, length: bytes.length });
        }
        if (!isLost(path)) yield { path, type, size, regions, content: piecesOf(pieces) };
      }
    }
    await practice.capture(lacking(() => false));
    const optional = /segment_manifest\.json$|^newest_clocks\.json$|^shard_config\.json$/;
    const names = new Set([...paths].filter((path) => !optional.test(path)).map((path) => basename(path)));

    expect([...names]).to.include.members(["segment.json", "replica_state.json", "mutable_id_tracker.mappings"]);
    for (const name of names) {
      const error = await errorOf(practice.capture(lacking((path) => basename(path) === name)));
      expect(error?.code, name).to.equal("CAPTURE_INCOMPLETE");
    }
  });

  it("a manifest over 2 MiB: Qdrant refuses it, so that everything is asked for", async () => {
    const [shard] = await source.shards(collection);
    const tree = recoveryPoint.collections[0]?.shards[0]?.tree;
    const repository = await asSeenElsewhere(practice.stores, practice.wrap);
    const { segments } = await repository.readTree(tree?.id ?? "", shardTreeSchema);
    const [segment] = Object.values(segments);
    const many = Object.fromEntries(
      Array.from({ length: 40_000 }, (_, n) => [`file-${n}-${"x".repeat(40)}`, n] as const),
    );
    const large: SegmentManifest = {
      [segment?.segment_id ?? ""]: { segment_id: segment?.segment_id ?? "", segment_version: 0, file_versions: many },
    };

    const ask = () => errorOf(source.captureShard(collection, shard as ShardPlacement, large));
    let error = await ask();
    // Qdrant closes the connection while the rest is sent: its answer may be lost on the way.
    for (let again = 0; again < 20 && error?.code === "UNREACHABLE"; again += 1) error = await ask();

    expect(JSON.stringify(large).length).to.be.greaterThan(2 ** 21);
    expect(error?.message).to.contain("413");
  });

  it("traffic: what clients write before a shard comes is gone, and what they change afterwards is found", async () => {
    const restored = clientOf(targetServer);
    const during = (act: (shard: number, restore: () => Promise<void>) => Promise<void>) =>
      altered(targetServer, {
        restoreShard: (name, shard, archive) => act(shard.id, () => target.restoreShard(name, shard, archive)),
      });
    const before = during(async (shard, restore) => {
      const early = { wait: true, points: pointsOf(1_001, 1_050, "early") };
      if (shard === 0) expect((await restored.upsert(collection, early)).status).to.equal("completed");
      await restore();
    });
    const after = during(async (_shard, restore) => {
      await restore();
      await restored.upsert(collection, { wait: true, points: pointsOf(1, 50, "late") });
    });

    await practice.restore(recoveryPoint, before);
    expect(await target.count(collection), "acknowledged, and gone with the shard").to.equal(200);
    await emptied(target);
    const error = await errorOf(practice.restore(recoveryPoint, after));
    expect(error?.code).to.equal("VERIFICATION_FAILED");
  });

  it("grey: a collection whose parameters changed after its last optimization is restored, and whole", async () => {
    await client.updateCollection(collection, { hnsw_config: { m: 24 } });
    const changed = await practice.capture(source);

    await practice.restore(changed, target);

    expect(["green", "grey", "yellow"]).to.include(await target.health(collection));
    expect(await contentOf(target, collection)).to.deep.equal(await contentOf(source, collection));
  });

  it("strict mode: what a collection forbids its clients, its backup does without, and its restore as well", async () => {
    const strict = { enabled: true, max_query_limit: 5, max_timeout: 1, search_allow_exact: false };
    await client.updateCollection(collection, { strict_mode_config: strict });
    try {
      const captured = await practice.capture(source);
      await practice.restore(captured, target);

      const [facts] = await practice.factsOf(captured);
      expect(facts?.samples).to.have.length(5);
      expect(facts?.canaries).to.deep.equal([]);
      expect(await contentOf(target, collection)).to.deep.equal(await contentOf(source, collection));
      expect((await target.describe(collection)).config).to.have.deep.property("strict_mode_config", strict);
    } finally {
      await client.updateCollection(collection, { strict_mode_config: { enabled: false } });
    }
  });

  it("an empty write-ahead log: Qdrant restores it, acknowledges overwrites and deletes, and does nothing", async () => {
    for (let n = 0; n < 20; n += 1) await write(1, 3);
    const written = await practice.capture(source);
    const repository = await asSeenElsewhere(practice.stores, practice.wrap);
    await practice.restore(written, target);
    const restored = clientOf(targetServer);
    for (const owner of await target.shards(collection)) {
      const id = written.collections[0]?.shards.find((shard) => shard.id === owner.id)?.tree.id ?? "";
      const { files } = await repository.readTree(id, shardTreeSchema);
      await target.restoreShard(collection, owner, writeSparseTar(emptyLog(repository, files)));
    }

    await restored.delete(collection, { wait: true, points: [1, 2, 3] });
    expect(await target.count(collection), "acknowledged, and still there").to.equal(200);
    await target.deleteCollection(collection);
    await practice.restore(written, target);
    await restored.delete(collection, { wait: true, points: [1, 2, 3] });
    expect(await target.count(collection), "as this tool restores it").to.equal(197);
  });

  async function* emptyLog(repository: OpenRepository, files: ShardTree["files"]): AsyncGenerator<OutgoingEntry> {
    yield { path: "wal", type: "directory", size: 0, regions: [], content: piecesOf([]) };
    for await (const { content, file, regions } of readFiles(repository, files)) {
      const { path, size } = file;
      if (!path.startsWith("wal/")) yield { path, type: "file", size, regions, content };
    }
  }

  async function* piecesOf(pieces: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
    yield* pieces;
  }
});
