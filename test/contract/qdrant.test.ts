import { createHash } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { totalmem } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { QdrantClient } from "@qdrant/js-client-rest";
import { expect } from "chai";
import { Qdrant } from "../../runtime/adapters/qdrant/qdrant.ts";
import type { SegmentManifest } from "../../runtime/domain/qdrant/segment-manifest.ts";
import { parseSegment } from "../../runtime/domain/qdrant/segment-manifest.ts";
import { type OutgoingEntry, readSparseTar, writeSparseTar } from "../../runtime/domain/qdrant/sparse-tar.ts";
import { DrError, exitCodes } from "../../runtime/errors.ts";
import type { CollectionDescription, ShardPlacement } from "../../runtime/ports/qdrant.ts";
import { allOf } from "../support/all-of.ts";
import { closedPorts } from "../support/estates/lonely-region.ts";
import { codeOf, errorOf } from "../support/expect-code.ts";
import { FaultProxy } from "../support/faults/fault-proxy.ts";
import { QdrantServer } from "../support/servers/qdrant-server.ts";
import { eventually } from "../support/time/eventually.ts";

const config = {
  params: {
    vectors: { text: { size: 4, distance: "Dot" }, image: { size: 2, distance: "Euclid", on_disk: true } },
    sparse_vectors: { words: { modifier: "idf" } },
    shard_number: 2,
    replication_factor: 1,
    write_consistency_factor: 1,
    on_disk_payload: true,
  },
  hnsw_config: { m: 8, ef_construct: 50, full_scan_threshold: 10_000 },
  optimizer_config: { default_segment_number: 1, indexing_threshold: 20_000, flush_interval_sec: 1 },
  wal_config: { wal_capacity_mb: 1, wal_segments_ahead: 0 },
  quantization_config: { scalar: { type: "int8", quantile: 0.99 } },
};
/** As Qdrant 1.16.3 answers a search that waited for a shard's lock for too long. */
const givenUp = {
  status: 500,
  headers: { "content-type": "application/json" },
  body: Buffer.from(
    JSON.stringify({
      status: {
        error:
          "Service internal error: 1 of 1 read operations failed:\n  Timeout error: Operation 'Search' timed out after 59.9s",
      },
      time: 60,
    }),
  ),
};
const payloadIndexes = {
  tag: "keyword",
  count: { type: "integer", lookup: true, range: false },
  body: { type: "text", tokenizer: "word", lowercase: true, min_token_len: 2, phrase_matching: true },
};

describe("Qdrant", function () {
  this.timeout(60_000);
  let server: QdrantServer;
  let qdrant: Qdrant;
  let client: QdrantClient;

  before(async () => {
    server = await QdrantServer.start();
    qdrant = new Qdrant({ peers: [server.url], apiKey: server.apiKey });
    client = new QdrantClient({ url: server.url, headers: { "api-key": server.apiKey }, checkCompatibility: false });
  });

  after(async () => {
    await server?.stop();
  });

  afterEach("no collections", async () => {
    for (const name of await qdrant.collections()) await qdrant.deleteCollection(name);
  });

  it("tells that a collection was made although what belongs to it fails, and that a name is taken", async () => {
    const outcomes: unknown[] = [];
    const params = { vectors: { size: 4, distance: "Dot" } };
    const create = (read_fan_out_factor?: number) =>
      qdrant.createCollection(
        { name: "once", config: { params: { ...params, read_fan_out_factor } }, payloadIndexes: {} },
        (outcome) => outcomes.push(outcome),
      );
    expect(await codeOf(create(-1))).to.equal("QDRANT_REFUSED");
    expect(outcomes).to.deep.equal(["created"]);
    expect(await codeOf(create())).to.equal("QDRANT_REFUSED");
    expect(outcomes).to.deep.equal(["created", "taken"]);
  });

  async function make(description: CollectionDescription): Promise<void> {
    await qdrant.createCollection(description);
    for (const [field, definition] of Object.entries(description.payloadIndexes)) {
      await qdrant.createPayloadIndex(description.name, field, definition);
    }
  }

  /** One shard with one unnamed vector and `count` points. */
  async function makeSimple(name: string, count: number): Promise<ShardPlacement> {
    await qdrant.createCollection({
      name,
      config: {
        params: { vectors: { size: 4, distance: "Dot" } },
        optimizer_config: { default_segment_number: 1 },
        wal_config: { wal_capacity_mb: 1 },
      },
      payloadIndexes: {},
    });
    const points = Array.from({ length: count }, (_, id) => ({ id, payload: { id }, vector: [id, 1, 2, 3] }));
    if (count > 0) await client.upsert(name, { wait: true, points });
    const [shard] = await qdrant.shards(name);
    if (shard === undefined) throw new Error("there is no shard");
    return shard;
  }

  async function captured(name: string, shard: ShardPlacement, base: SegmentManifest = {}) {
    const stream = await qdrant.captureShard(name, shard, base);
    if (stream === undefined) return undefined;
    const manifest: SegmentManifest = {};
    const files: { path: string; size: number; bytes: Buffer }[] = [];
    for await (const { content, path, size, type } of readSparseTar(stream)) {
      const bytes = Buffer.alloc(size);
      for await (const piece of content) bytes.set(piece.bytes, piece.offset);
      if (type === "directory") continue;
      if (path.endsWith("/segment_manifest.json")) {
        const segment = parseSegment(String(bytes));
        manifest[segment.segment_id] = segment;
      } else if (!path.startsWith("wal")) files.push({ path, size, bytes });
    }
    return { manifest, files };
  }

  async function* archiveOf(files: readonly { path: string; size: number; bytes: Buffer }[]) {
    async function* one<T>(...items: T[]) {
      yield* items;
    }
    const wal: OutgoingEntry = { path: "wal", type: "directory", size: 0, regions: [], content: one<Buffer>() };
    const entries = files.map(({ bytes, path, size }): OutgoingEntry => {
      const regions = size === 0 ? [] : [{ offset: 0, length: size }];
      return { path, type: "file", size, regions, content: one(bytes) };
    });
    yield* writeSparseTar(one(wal, ...entries));
  }

  it("settles: writes that were acknowledged without being waited for are applied when it returns", async () => {
    await client.createCollection("queue", { vectors: { size: 64, distance: "Dot" }, shard_number: 2 });
    const points = Array.from({ length: 10_000 }, (_, id) => ({ id, vector: Array<number>(64).fill(id) }));
    await client.upsert("queue", { wait: true, points });
    for (let turn = 1; turn <= 20; turn += 1) {
      await client.setPayload("queue", { wait: false, filter: { must: [] }, payload: { turn } });
    }
    await qdrant.settle("queue");
    const { count } = await client.count("queue", { filter: { must: [{ key: "turn", match: { value: 20 } }] } });
    expect(count).to.equal(10_000);
  });

  it("makes of a description a collection that it describes in the same words, payload indexes too", async () => {
    await make({ name: "first", config, payloadIndexes });
    const first = await qdrant.describe("first");
    await make({ ...first, name: "second" });
    const second = await qdrant.describe("second");

    expect(first.config["params"]).to.deep.include({ shard_number: 2, on_disk_payload: true });
    expect(Object.keys(first.payloadIndexes).sort()).to.deep.equal(["body", "count", "tag"]);
    expect(first.payloadIndexes["body"]).to.deep.include({ phrase_matching: true, tokenizer: "word" });
    expect(first.payloadIndexes["count"]).to.deep.include({ lookup: true, range: false });
    expect({ ...second, name: "first" }).to.deep.equal(first);
  });

  it("describes every shard with its owner, and optimizations as numbers and marks", async () => {
    await make({ name: "first", config, payloadIndexes: {} });

    const shards = await qdrant.shards("first");

    expect(shards.map(({ id }) => id)).to.deep.equal([0, 1]);
    for (const shard of shards) {
      expect(shard.peer).to.be.greaterThan(0);
      expect(shard.peerUrl).to.equal(server.url);
      expect(shard.key).to.equal(undefined);
      expect(await qdrant.optimizations("first", shard)).to.deep.equal({ running: 0, begun: [], underWay: [] });
    }
    expect(await qdrant.optimizations("first", { ...(shards[0] as ShardPlacement), id: 77 })).to.equal(undefined);
    expect(await qdrant.optimizations("no such collection", shards[0] as ShardPlacement)).to.equal(undefined);
  });

  it("remembers an optimization that is over as begun, once, and not as running", async () => {
    const shard = await makeSimple("first", 2_000);
    await client.updateCollection("first", { optimizers_config: { indexing_threshold: 1 } });
    const seen = await eventually("an optimization to begin and end", async () => {
      const found = await qdrant.optimizations("first", shard);
      return found !== undefined && found.begun.length > 0 && found.running === 0 && found;
    });

    expect(seen.begun[0]).to.match(/^\w+@\d{4}-\d\d-\d\dT/);
    expect(new Set(seen.begun).size).to.equal(seen.begun.length);
  });

  it("captures everything, then nothing (undefined) while nothing changes, then what changed", async () => {
    const shard = await makeSimple("first", 100);

    const full = await captured("first", shard);
    const unchanged = await captured("first", shard, full?.manifest);
    await client.upsert("first", { wait: true, points: [{ id: 1_000, vector: [1, 2, 3, 4] }] });
    const changed = await captured("first", shard, full?.manifest);

    expect(Object.keys(full?.manifest ?? {})).to.not.have.lengthOf(0);
    expect(full?.files.map(({ path }) => path)).to.include("replica_state.json");
    expect(unchanged).to.equal(undefined);
    expect(changed?.files.length).to.be.within(1, full?.files.length ?? 0);
    expect(changed?.manifest).not.to.deep.equal(full?.manifest);
  });

  it("captures a collection that is dropped at the same moment or is told that it is gone, and leaves a Qdrant that answers", async () => {
    const description = { name: "first", config, payloadIndexes: {} };
    for (let round = 0; round < 12; round += 1) {
      await make(description);
      const [shard] = (await qdrant.shards("first")) as [ShardPlacement];
      const drop = sleep(round % 4).then(() => client.deleteCollection("first"));
      const captures = Array.from({ length: 4 }, async (_, rank) => {
        await sleep(rank);
        return codeOf(qdrant.captureShard("first", shard, {}).then((stream) => stream && allOf(stream)));
      });
      for (const code of await Promise.all(captures)) {
        expect(code).to.be.oneOf([undefined, "QDRANT_REFUSED", "CAPTURE_INCOMPLETE"]);
      }
      await drop;
      expect(await qdrant.collections()).to.deep.equal([]);
    }
  });

  it("restores a captured shard whole into another collection", async () => {
    const full = await captured("first", await makeSimple("first", 100));
    const target = await makeSimple("second", 0);

    await qdrant.restoreShard("second", target, archiveOf(full?.files ?? []));

    const ids = (await allOf(qdrant.ids("first"))).sort();
    expect(ids).to.have.lengthOf(100);
    expect((await allOf(qdrant.ids("second"))).sort()).to.deep.equal(ids);
    expect(await qdrant.points("second", ids)).to.deep.equal(await qdrant.points("first", ids));
    expect(await qdrant.health("second")).to.equal("green");
  });

  it("restores points whose bytes are the boundary of an upload that somebody could foresee", async () => {
    const boundary = (path: string) => `qdrant-dr-${createHash("sha256").update(path).digest("hex").slice(0, 32)}`;
    // What the boundary of this very upload was once made of.
    const ends = ["second", "first"].map((name) =>
      Buffer.from(`\r\n--${boundary(`/collections/${name}/shards/0/snapshots/upload`)}--\r\nAA`),
    );
    await client.createCollection("first", { vectors: { size: 13, distance: "Dot" } });
    await client.createCollection("second", { vectors: { size: 13, distance: "Dot" } });
    const points = ends.map((bytes, id) => ({
      id,
      vector: Array.from({ length: 13 }, (_, at) => bytes.readFloatLE(4 * at)),
      payload: { text: bytes.toString("latin1") },
    }));
    await client.upsert("first", { wait: true, points });
    const [shard] = await qdrant.shards("first");
    const [target] = await qdrant.shards("second");
    if (shard === undefined || target === undefined) throw new Error("there is no shard");
    const full = await captured("first", shard);
    expect(full?.files.some(({ bytes }) => ends.every((end) => bytes.includes(end)))).to.equal(true);

    await qdrant.restoreShard("second", target, archiveOf(full?.files ?? []));

    expect(await qdrant.points("second", [0, 1])).to.deep.equal(await qdrant.points("first", [0, 1]));
  });

  it("refuses a damaged archive: cut, without its replica state, or whose sender fails in the middle", async () => {
    const full = await captured("first", await makeSimple("first", 100));
    const files = full?.files ?? [];
    const target = await makeSimple("second", 3);
    const pieces: Uint8Array[] = [];
    for await (const piece of archiveOf(files)) pieces.push(Buffer.from(piece));
    const archive = Buffer.concat(pieces);
    async function* cut() {
      yield archive.subarray(0, Math.floor(archive.length / 3));
    }
    async function* failing() {
      yield archive.subarray(0, 5_000);
      throw new DrError("OBJECT_CORRUPT", "a pack is damaged");
    }
    const stateless = archiveOf(files.filter(({ path }) => path !== "replica_state.json"));

    expect(await codeOf(qdrant.restoreShard("second", target, cut()))).to.equal("QDRANT_REFUSED");
    expect(await codeOf(qdrant.restoreShard("second", target, stateless))).to.equal("QDRANT_REFUSED");
    expect(await codeOf(qdrant.restoreShard("second", target, failing())), "the sender's reason").to.equal(
      "OBJECT_CORRUPT",
    );
    expect(await qdrant.count("second"), "the points that were there").to.equal(3);
  });

  it("answers what is in a collection: counts, ids of every page, points, samples, nearest, aliases", async () => {
    await makeSimple("first", 6_000);
    await qdrant.createAlias({ alias: "current", collection: "first" });

    expect(await qdrant.count("first")).to.equal(6_000);
    expect(new Set(await allOf(qdrant.ids("first"))).size).to.equal(6_000);
    expect(await qdrant.points("first", [7])).to.deep.equal([{ id: 7, payload: { id: 7 }, vector: [7, 1, 2, 3] }]);
    expect(await qdrant.points("first", [999_999])).to.deep.equal([]);
    expect(new Set(await qdrant.sampleIds("first", 20)).size).to.equal(20);
    const queries = [
      { vector: [1, 0, 0, 0], limit: 2 },
      { vector: [-1, 0, 0, 0], limit: 1 },
    ];
    expect(await qdrant.nearest("first", queries)).to.deep.equal([
      [
        { id: 5_999, score: 5_999 },
        { id: 5_998, score: 5_998 },
      ],
      [{ id: 0, score: 0 }],
    ]);
    expect(await qdrant.nearest("first", [])).to.deep.equal([]);
    expect(await qdrant.aliases()).to.deep.equal([{ alias: "current", collection: "first" }]);
    expect(await qdrant.version()).to.match(/^1\.\d+\.\d+$/);
    const { diskBytes, memoryBytes } = await qdrant.machine();
    expect(memoryBytes / totalmem()).to.be.closeTo(1, 0.01);
    expect(diskBytes).to.be.greaterThan(1e9);
  });

  it("asks a search again that Qdrant gave up, with more time, and fails when it gives up each time", async () => {
    await client.createCollection("first", { vectors: { size: 2, distance: "Dot" } });
    await client.upsert("first", { wait: true, points: [{ id: 1, vector: [1, 2] }] });
    const proxy = await FaultProxy.start(server.url);
    try {
      const proxied = new Qdrant({ peers: [proxy.url], apiKey: server.apiKey });
      let givesUp = 2;
      proxy.instead = ({ path }) => {
        if (!path.includes("/points/query/batch")) return undefined;
        givesUp -= 1;
        return givesUp < 0 ? undefined : givenUp;
      };
      const ask = () => proxied.nearest("first", [{ vector: [1, 1], limit: 1 }]);
      expect(await ask()).to.deep.equal([[{ id: 1, score: 3 }]]);
      const searches = proxy.log
        .map(({ path }) => new URL(path, proxy.url).searchParams)
        .filter(({ size }) => size > 0);
      const seconds = searches.map((query) => query.get("timeout"));
      expect(seconds).to.deep.equal(["5", "20", "100"]);
      givesUp = 3;
      expect(await codeOf(ask())).to.equal("QDRANT_REFUSED");
    } finally {
      await proxy.stop();
    }
  });

  it("reads what the server tells of optimizations when one of another collection was cancelled", async () => {
    const shard = await makeSimple("first", 10);
    await client.createCollection("second", { vectors: { size: 256, distance: "Dot" } });
    const points = Array.from({ length: 2_000 }, (_, id) => ({ id, vector: Array(256).fill(id) }));
    await client.upsert("second", { wait: true, points });
    const telemetry = async () =>
      (await fetch(`${server.url}/telemetry?details_level=10`, { headers: { "api-key": server.apiKey } })).text();
    // Each time, indexing begins and is cancelled, unless it was over before.
    for (let m = 8; !(await telemetry()).includes('"cancelled"'); m += 1) {
      await client.updateCollection("second", { optimizers_config: { indexing_threshold: 1 }, hnsw_config: { m } });
      await client.updateCollection("second", { optimizers_config: { indexing_threshold: 0 } });
    }

    expect(await qdrant.optimizations("first", shard)).to.include({ running: 0 });
    const [cancelled] = await qdrant.shards("second");
    if (cancelled === undefined) throw new Error("there is no shard");
    expect((await qdrant.optimizations("second", cancelled))?.begun).to.not.deep.equal([]);
  });

  it("asks no more of a collection in strict mode than it allows: fewer points at a time, and nothing exact", async () => {
    const strict = { enabled: true, max_query_limit: 3, max_timeout: 2, search_allow_exact: false };
    await client.createCollection("first", { vectors: { size: 2, distance: "Dot" }, strict_mode_config: strict });
    const points = Array.from({ length: 10 }, (_, id) => ({ id, vector: [id, 1] }));
    await client.upsert("first", { wait: true, points });

    expect(await qdrant.count("first")).to.equal(10);
    expect(await allOf(qdrant.ids("first"))).to.deep.equal(points.map(({ id }) => id));
    expect(await qdrant.sampleIds("first", 64)).to.have.length(3);
    const query = { vector: [1, 0], limit: 5 };
    expect(await qdrant.nearest("first", [query])).to.equal(undefined);
    const [nearest] = (await qdrant.nearest("first", [{ ...query, isApproximate: true }])) ?? [];
    expect(nearest?.map(({ id }) => id)).to.deep.equal([9, 8, 7]);
  });

  it("waits where a collection's rate limit is reached", async () => {
    await client.createCollection("first", {
      vectors: { size: 2, distance: "Dot" },
      strict_mode_config: { enabled: true, read_rate_limit: 120 },
    });
    const proxy = await FaultProxy.start(server.url);
    try {
      const proxied = new Qdrant({ peers: [proxy.url], apiKey: server.apiKey });
      const asked = Array.from({ length: 140 }, () => proxied.count("first"));
      expect(new Set(await Promise.all(asked))).to.deep.equal(new Set([0]));
      const refused = proxy.log.filter(({ status }) => status === 429);
      expect(refused, "of what was asked, some was refused at first").to.not.deep.equal([]);
    } finally {
      await proxy.stop();
    }
  });

  for (const enabled of [true, false]) {
    const mode = enabled ? "" : ", though strict mode is off";
    it(`asks for points in parts where the rate limit allows no more at once, and waits between them${mode}`, async () => {
      const rate = 6_000;
      await client.createCollection("first", {
        vectors: { size: 2, distance: "Dot" },
        strict_mode_config: { enabled, read_rate_limit: rate },
      });
      const ids = Array.from({ length: rate + 300 }, (_, id) => id);
      await client.upsert("first", { wait: true, points: ids.map((id) => ({ id, vector: [id, 1] })) });
      expect((await qdrant.points("first", ids)).map(({ id }) => id)).to.have.members(ids);
    });
  }

  it("calls a wrong key ACCESS_DENIED, whatever is asked", async () => {
    const shard = await makeSimple("first", 1);
    const denied = new Qdrant({ peers: [server.url], apiKey: "another key" });

    expect(await codeOf(denied.collections())).to.equal("ACCESS_DENIED");
    expect(await codeOf(denied.describe("first"))).to.equal("ACCESS_DENIED");
    expect(await codeOf(denied.shards("first"))).to.equal("ACCESS_DENIED");
    expect(await codeOf(denied.optimizations("first", shard))).to.equal("ACCESS_DENIED");
    expect(await codeOf(denied.captureShard("first", shard, {}))).to.equal("ACCESS_DENIED");
    expect(await codeOf(denied.restoreShard("first", shard, archiveOf([])))).to.equal("ACCESS_DENIED");
    expect(await codeOf(denied.deleteCollection("first"))).to.equal("ACCESS_DENIED");
    expect(await qdrant.count("first")).to.equal(1);
  });

  it("calls a port on which nothing listens UNREACHABLE, whatever is asked", async () => {
    const shard = await makeSimple("first", 1);
    const holder = createServer();
    await once(holder.listen(0, "127.0.0.1"), "listening");
    const url = `http://127.0.0.1:${(holder.address() as AddressInfo).port}`;
    await once(holder.close(), "close");
    const gone = new Qdrant({ peers: [url], apiKey: server.apiKey });
    const goneShard = { ...shard, peerUrl: url };

    expect(await codeOf(gone.version())).to.equal("UNREACHABLE");
    expect(await codeOf(gone.collections())).to.equal("UNREACHABLE");
    expect(await codeOf(gone.shards("first"))).to.equal("UNREACHABLE");
    expect(await codeOf(gone.optimizations("first", goneShard))).to.equal("UNREACHABLE");
    expect(await codeOf(gone.captureShard("first", goneShard, {}))).to.equal("UNREACHABLE");
    expect(await codeOf(gone.restoreShard("first", goneShard, archiveOf([])))).to.equal("UNREACHABLE");
  });

  it("asks again where a connection was closed, whatever is asked, not without end, and changes nothing twice", async () => {
    const shard = await makeSimple("first", 3);
    const proxy = await FaultProxy.start(server.url);
    try {
      const proxied = new Qdrant({ peers: [proxy.url], apiKey: server.apiKey });
      const proxiedShard = { ...shard, peerUrl: proxy.url };
      const ids = [1, 2];
      for (const [path, ask] of [
        ["/aliases", () => proxied.aliases()],
        ["/collections/first/points/count", () => proxied.count("first")],
        ["/collections/first/points", async () => (await proxied.points("first", ids)).map(({ id }) => id)],
        ["/snapshot/partial/manifest", () => proxied.segments("first", proxiedShard)],
      ] as const) {
        proxy.plan = () => undefined;
        const answer = await ask();
        let cuts = 2;
        proxy.plan = (request) => (request.path.includes(path) && cuts-- > 0 ? "cut before the answer" : undefined);
        expect(await ask(), path).to.deep.equal(answer);
        expect(cuts, path).to.be.lessThan(1);
      }

      proxy.log.length = 0;
      proxy.plan = ({ path }) => (path === "/" ? undefined : "cut before the answer");
      expect(await codeOf(proxied.aliases())).to.equal("UNREACHABLE");
      // The HTTP client of Node asks twice by itself.
      expect(proxy.log).to.have.length.within(3, 6);
      proxy.log.length = 0;
      expect(await codeOf(proxied.createAlias({ alias: "current", collection: "first" }))).to.equal("UNREACHABLE");
      expect(proxy.log.filter(({ path }) => path !== "/")).to.have.length.within(1, 2);
    } finally {
      await proxy.stop();
    }
  });

  it("asks the next peer when one does not answer, and names it when a shard is held by nobody else", async () => {
    await makeSimple("first", 3);
    const [port] = await closedPorts(1);
    const peers = [`http://127.0.0.1:${port}`, server.url];
    const halfGone = new Qdrant({ peers, apiKey: server.apiKey });

    expect(await halfGone.version()).to.equal(await qdrant.version());
    expect(await halfGone.collections()).to.deep.equal(["first"]);
    expect(await halfGone.listCollections()).to.deep.equal({ names: ["first"], answered: 1, silent: [peers[0]] });
    expect(await qdrant.listCollections()).to.deep.equal({ names: ["first"], answered: 1, silent: [] });
    expect(await halfGone.shards("first")).to.deep.equal(await qdrant.shards("first"));
    expect((await halfGone.layout("first")).movements).to.deep.equal([]);
    expect(await halfGone.count("first")).to.equal(3);
    expect(await halfGone.health("first")).to.equal("green");
    await halfGone.createAlias({ alias: "current", collection: "first" });
    expect(await halfGone.aliases()).to.deep.equal([{ alias: "current", collection: "first" }]);
    await new Qdrant({ peers, apiKey: server.apiKey }).deleteCollection("first");
    expect(await qdrant.collections()).to.deep.equal([]);
  });

  it("calls what Qdrant refuses QDRANT_REFUSED: a collection or shard that is not there, and one made twice", async () => {
    const shard = await makeSimple("first", 1);

    const refusal = { code: "QDRANT_REFUSED", exitCode: exitCodes.unreachable };
    expect(await errorOf(qdrant.describe("missing")), "no defect of this tool").to.include(refusal);
    expect([await qdrant.exists("first"), await qdrant.exists("missing")]).to.deep.equal([true, false]);
    expect(await codeOf(qdrant.captureShard("missing", shard, {}))).to.equal("QDRANT_REFUSED");
    expect(await codeOf(qdrant.captureShard("first", { ...shard, id: 9 }, {}))).to.equal("QDRANT_REFUSED");
    expect(await codeOf(makeSimple("first", 1))).to.equal("QDRANT_REFUSED");
  });
});
