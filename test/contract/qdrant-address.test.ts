/** Which server the adapter asks: the one that was named, and no other, whatever is asked. */
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { QdrantClient } from "@qdrant/js-client-rest";
import { expect } from "chai";
import { Qdrant } from "../../runtime/adapters/qdrant/qdrant.ts";
import { DrError } from "../../runtime/errors.ts";
import { allOf } from "../support/all-of.ts";
import { errorOf } from "../support/expect-code.ts";
import { FaultProxy } from "../support/faults/fault-proxy.ts";
import { QdrantServer } from "../support/servers/qdrant-server.ts";

const collection = "notes";
const kept = "kept";

describe("the address of a Qdrant", function () {
  this.timeout(60_000);
  let server: QdrantServer;
  let other: QdrantServer;

  before(async () => {
    [server, other] = await Promise.all([QdrantServer.start("first"), QdrantServer.start()]);
    await clientOf(server).createCollection(kept, { vectors: { size: 2, distance: "Dot" } });
  });

  after(async () => {
    await Promise.all([server?.stop(), other?.stop()]);
  });

  const clientOf = ({ apiKey, url }: QdrantServer) =>
    new QdrantClient({ url, headers: { "api-key": apiKey }, checkCompatibility: false });

  it("behind a proxy that serves it below a path: every method asks there, and nothing elsewhere", async () => {
    const proxy = await FaultProxy.start(server.url, "/search/qdrant");
    const called = new Set<string>();
    const qdrant = recorded(new Qdrant({ peers: [`${proxy.url}/`], apiKey: server.apiKey }), called);
    const config = (sharding_method: string) => ({
      params: { vectors: { size: 2, distance: "Dot" }, shard_number: 1, replication_factor: 1, sharding_method },
      wal_config: { wal_capacity_mb: 1 },
    });
    try {
      await qdrant.createCollection({ name: collection, config: config("auto"), payloadIndexes: {} });
      await qdrant.createPayloadIndex(collection, "tag", "keyword");
      await qdrant.deletePayloadIndex(collection, "tag");
      await qdrant.changeSettings(collection, config("auto"));
      const change = { deleted: [], points: ['{"id":2,"vector":[1,2],"payload":{}}'] };
      expect(await qdrant.replacePoints(collection, change)).to.equal("applied");
      expect(await qdrant.replacePoints(collection, { deleted: ["2"], points: [] })).to.equal("applied");
      await clientOf(server).upsert(collection, { wait: true, points: [{ id: 1, vector: [1, 2], payload: {} }] });
      await qdrant.createCollection({ name: "keyed", config: config("custom"), payloadIndexes: {} });
      await qdrant.createShardKey("keyed", { key: "tenant", shards: 1, replicationFactor: 1 });
      await qdrant.deleteShardKey("keyed", "tenant");
      await qdrant.createAlias({ alias: "current", collection });

      expect(await qdrant.version()).to.match(/^\d/);
      expect((await qdrant.time())?.getTime()).to.be.closeTo(Date.now(), 30_000);
      expect(await qdrant.processes()).to.have.lengthOf(1);
      expect((await qdrant.machine()).memoryBytes).to.be.greaterThan(0);
      expect(await qdrant.rights()).to.equal("everything");
      expect(await qdrant.answersWithoutKey()).to.equal(false);
      expect(await qdrant.isClustered()).to.equal(true);
      expect(await qdrant.collections()).to.have.members(["keyed", kept, collection]);
      expect((await qdrant.listCollections()).silent).to.deep.equal([]);
      expect(await qdrant.exists(collection)).to.equal(true);
      expect((await qdrant.describe(collection)).name).to.equal(collection);
      expect(await qdrant.aliases()).to.deep.equal([{ alias: "current", collection }]);
      const [shard] = await qdrant.shards(collection);
      if (shard === undefined) throw new Error("there is no shard");
      expect((await qdrant.layout(collection)).shards).to.deep.equal([shard]);
      expect(await qdrant.count(collection)).to.equal(1);
      expect(await allOf(qdrant.ids(collection))).to.deep.equal([1]);
      expect(await qdrant.points(collection, [1])).to.have.lengthOf(1);
      expect(await qdrant.sampleIds(collection, 1)).to.have.lengthOf(1);
      expect(await allOf(qdrant.sketches(collection, [1]))).to.have.lengthOf(1);
      expect(await qdrant.nearest(collection, [{ vector: [1, 1], limit: 1 }])).to.have.lengthOf(1);
      expect(await qdrant.optimizations(collection, shard)).to.include({ running: 0 });
      expect(await qdrant.restoreFingerprint(shard)).to.match(/\/0$/);
      expect(await qdrant.processStart(shard)).not.to.equal("");
      expect(await qdrant.scratchCollections()).to.deep.equal([]);
      expect(await qdrant.segments(collection, shard)).to.be.an("object");
      await qdrant.setStrictMode(collection, { enabled: false });
      expect(await qdrant.isHalfMade(collection)).to.equal(false);
      await qdrant.settle(collection);
      await qdrant.setOptimizationThreads(collection, "auto");
      expect(await qdrant.health(collection)).to.match(/green|grey|yellow/);
      const captured = await qdrant.captureShard(collection, shard, {});
      if (captured === undefined) throw new Error("nothing was captured");
      await qdrant.applyDifference(collection, shard, Readable.from([await buffer(captured)]));
      const headers = { "api-key": server.apiKey };
      const whole = await fetch(`${server.url}/collections/${collection}/shards/0/snapshot`, { headers });
      await qdrant.restoreShard(collection, shard, Readable.from([Buffer.from(await whole.arrayBuffer())]));
      const snapshot = await qdrant.createSnapshot(collection, shard);
      expect((await buffer(await qdrant.readSnapshot(collection, shard, snapshot))).length).to.be.greaterThan(0);
      expect(await qdrant.snapshots(collection, shard)).to.deep.equal([snapshot.name]);
      await qdrant.deleteSnapshot(collection, shard, snapshot.name);
      await qdrant.deleteAlias("current");
      await qdrant.deleteCollection(collection);

      const methods = Object.getOwnPropertyNames(Qdrant.prototype).filter((name) => name !== "constructor");
      expect([...called], "every method was asked").to.have.members(methods);
      expect(proxy.log.filter(({ path }) => !path.startsWith("/search/qdrant/"))).to.deep.equal([]);
      await qdrant.deleteCollection("keyed");
      expect((await clientOf(server).getCollections()).collections).to.deep.equal([{ name: kept }]);
    } finally {
      await proxy.stop();
    }
  });

  it("does not follow an answer that leads to another server, where its key would come to", async () => {
    const [proxy, elsewhere] = await Promise.all([FaultProxy.start(server.url), FaultProxy.start(other.url)]);
    try {
      for (const status of [301, 302, 303, 307, 308]) {
        proxy.instead = ({ path }) => answerOf(status, { location: `${elsewhere.url}${path}` });
        const qdrant = new Qdrant({ peers: [proxy.url], apiKey: server.apiKey });
        const error = await errorOf(qdrant.deleteCollection(kept));
        expect(error?.code, String(status)).to.equal("UNREACHABLE");
        expect(error?.message).to.contain(`leads elsewhere, to ${elsewhere.url}`);
        expect(elsewhere.log).to.deep.equal([]);
      }
    } finally {
      await Promise.all([proxy.stop(), elsewhere.stop()]);
    }
  });

  it("says of what is no Qdrant that it is none, and changes nothing there", async () => {
    const proxy = await FaultProxy.start(server.url);
    try {
      for (const body of ["<h1>It works!</h1>", "{}", '{"title":"another"}', "null", "", "<h1>404</h1>"]) {
        proxy.reset();
        proxy.instead = () => answerOf(body.includes("404") ? 404 : 200, {}, body);
        const qdrant = new Qdrant({ peers: [proxy.url], apiKey: server.apiKey });
        const error = await errorOf(qdrant.deleteCollection(kept));
        expect(error?.code, body).to.equal("UNREACHABLE");
        expect(error?.message).to.equal(`what answers at ${proxy.url} is not a Qdrant`);
        expect(proxy.log.map(({ method, path }) => `${method} ${path}`)).to.deep.equal(["GET /"]);
        expect((await errorOf(qdrant.version()))?.code).to.equal("UNREACHABLE");
      }
    } finally {
      await proxy.stop();
    }
  });

  it("two servers that are no cluster are never taken for one: neither captured nor restored into", async () => {
    const apart = new Qdrant({ peers: [server.url, other.url], apiKey: server.apiKey });
    const error = await errorOf(apart.version());
    expect(error?.code).to.equal("SETTING_INVALID");
    expect(error?.message).to.equal(`${server.url} and ${other.url} are not peers of one Qdrant`);
    const strangers = await QdrantServer.start("first");
    try {
      const clusters = new Qdrant({ peers: [server.url, strangers.url], apiKey: server.apiKey });
      expect((await errorOf(clusters.version()))?.message).to.contain("are not peers of one Qdrant");
    } finally {
      await strangers.stop();
    }
  });

  it("names the port that Qdrant has by itself where the URL may have been meant for it, and nobody answers", async () => {
    // A block that routers carry nowhere (RFC 5737), where nobody can listen.
    const hintOf = async (url: string) =>
      (await errorOf(new Qdrant({ peers: [url], apiKey: "k", patienceMs: 200 }).collections()))?.hint;
    expect(await hintOf("http://192.0.2.1")).to.contain("port 80, and Qdrant's own is 6333");
    expect(await hintOf("https://192.0.2.1/qdrant")).to.contain("port 443, and Qdrant's own is 6333");
    expect(await hintOf("http://192.0.2.1:6334")).to.contain(
      "6334 is Qdrant's port for gRPC: name that of its REST API, 6333",
    );
    expect(await hintOf("http://192.0.2.1:7000")).not.to.contain("6333");
  });

  it("refuses a URL that says more than where, and a key that no request can carry, without showing either", async () => {
    for (const url of ["http://user:secret@127.0.0.1:6333", "http://127.0.0.1:6333/?key=secret", "127.0.0.1:6333"]) {
      expect(() => new Qdrant({ peers: [url], apiKey: "k" }), url)
        .to.throw(DrError, /not the address/)
        .that.satisfies((error: DrError) => error.code === "SETTING_INVALID" && !error.message.includes("secret"));
    }
    expect(() => new Qdrant({ peers: [server.url], apiKey: "sec\nret" }))
      .to.throw(DrError, "its character 4")
      .that.satisfies((error: DrError) => error.code === "SETTING_INVALID" && !error.message.includes("ret"));
    const qdrant = new Qdrant({ peers: [server.url], apiKey: `${server.apiKey}\r\n` });
    expect(await qdrant.count(kept), "asked by the client library").to.equal(0);
    const [shard] = await qdrant.shards(kept);
    expect(shard?.id, "asked by ourselves").to.equal(0);
  });
});

function answerOf(status: number, headers: Readonly<Record<string, string>>, body = "") {
  return { status, headers, body: Buffer.from(body) };
}

/** The same, which notes the names of the methods that are called. */
function recorded(qdrant: Qdrant, called: Set<string>): Qdrant {
  return new Proxy(qdrant, {
    get(target, name: keyof Qdrant & string) {
      called.add(name);
      return target[name].bind(target);
    },
  });
}
