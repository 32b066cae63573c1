/** What only newer versions of Qdrant answer, in place of the answers of the real server behind; and what no Qdrant answers. */
import type { QdrantClient } from "@qdrant/js-client-rest";
import { expect } from "chai";
import { Qdrant } from "../../runtime/adapters/qdrant/qdrant.ts";
import type { ShardPlacement } from "../../runtime/ports/qdrant.ts";
import { clientOf } from "../support/estates/recovery-practice.ts";
import { errorOf } from "../support/expect-code.ts";
import { FaultProxy } from "../support/faults/fault-proxy.ts";
import { QdrantServer } from "../support/servers/qdrant-server.ts";

function refusal(status: number, error: string) {
  const body = Buffer.from(JSON.stringify({ status: { error }, time: 0 }));
  return { status, headers: { "content-type": "application/json" }, body };
}

describe("Qdrant, as newer versions answer (a proxy's answers)", function () {
  this.timeout(60_000);
  let server: QdrantServer;
  let proxy: FaultProxy;
  let client: QdrantClient;
  let qdrant: Qdrant;
  let shard: ShardPlacement;

  before(async () => {
    server = await QdrantServer.start();
    proxy = await FaultProxy.start(server.url);
    client = clientOf(server);
    qdrant = new Qdrant({ peers: [proxy.url], apiKey: server.apiKey });
    await client.createCollection("notes", { vectors: { size: 2, distance: "Dot" } });
    await client.upsert("notes", {
      wait: true,
      points: Array.from({ length: 10 }, (_, id) => ({ id, payload: { id }, vector: [id, 1] })),
    });
    shard = (await qdrant.shards("notes"))[0] as ShardPlacement;
  });

  beforeEach(() => proxy.reset());

  after(async () => {
    await proxy?.stop();
    await server?.stop();
  });

  it("1.17: tells the optimizations of every shard but the one that could not be loaded", async () => {
    const entry = {
      name: "merge",
      segment_ids: [0],
      status: "optimizing",
      start_at: "2026-11-01T00:00:00Z",
      end_at: null,
    };
    const shardOf = (optimizations: unknown) => ({ id: 0, key: null, local: { optimizations }, remote: [] });
    const collections = [
      { id: "spoilt", shards: [shardOf(null)] },
      { id: "newer", shards: [shardOf({ status: "ok", log: [{ ...entry, status: { paused: "for a while" } }] })] },
      { id: "notes", shards: [shardOf({ status: "ok", optimizations: {}, log: [entry] })] },
    ];
    const answer = Buffer.from(JSON.stringify({ result: { collections: { collections } }, status: "ok", time: 0 }));
    proxy.instead = ({ path }) => (path.startsWith("/telemetry") ? answer : undefined);

    expect(await qdrant.optimizations("spoilt", shard)).to.equal(undefined);
    expect(await qdrant.optimizations("newer", shard), "in a state that is not known here").to.equal(undefined);
    const mark = "merge@2026-11-01T00:00:00Z";
    expect(await qdrant.optimizations("notes", shard)).to.deep.equal({ running: 1, begun: [mark], underWay: [mark] });
  });

  it("1.17: asks queries one by one where strict mode allows fewer in one request", async () => {
    const queries = Array.from({ length: 5 }, (_, n) => ({ vector: [n, 1], limit: 2 }));
    const expected = await qdrant.nearest("notes", queries);
    proxy.instead = (_, body) => {
      const searches = body.includes('"searches"') ? JSON.parse(String(body)).searches.length : 0;
      return searches > 2 ? refusal(400, 'Limit exceeded 5 > 2 for "search batch size"') : undefined;
    };

    expect(await qdrant.nearest("notes", queries)).to.deep.equal(expected);
  });

  it("1.19: samples by scrolling where choosing by chance panics", async () => {
    const panic = 'Service internal error: task 54 panicked with message "index 63 out of bounds: 0"';
    proxy.instead = (_, body) => (body.includes('"random"') ? refusal(500, panic) : undefined);

    expect(await qdrant.sampleIds("notes", 4)).to.deep.equal([0, 1, 2, 3]);
  });

  const asked: readonly (readonly [what: string, ask: () => Promise<unknown>, field: RegExp])[] = [
    ["the version", () => qdrant.version(), /GET \/ .*version/],
    ["processes", () => qdrant.processes(), /telemetry\?details_level=0 .*id/],
    ["the machine", () => qdrant.machine(), /telemetry\?details_level=1 .*app/],
    ["cluster mode", () => qdrant.isClustered(), /\/cluster .*status/],
    ["collections", () => qdrant.collections(), /\/collections .*collections/],
    ["shards", () => qdrant.shards("notes"), /\/collections\/notes\/cluster .*peer_id/],
    ["optimizations", () => qdrant.optimizations("notes", shard), /telemetry\?details_level=10 .*collections/],
    ["snapshots", () => qdrant.snapshots("notes", shard), /\/collections\/notes\/snapshots .*array/],
    [
      "a snapshot that is made",
      () => qdrant.createSnapshot("notes", shard),
      /\/collections\/notes\/snapshots.* .*name/,
    ],
    ["segments", () => qdrant.segments("notes", shard), /snapshot\/partial\/manifest .*wrong/],
  ];
  for (const [what, ask, field] of asked) {
    it(`an answer that does not fit is ANSWER_UNREADABLE, which names the question and the field: ${what}`, async () => {
      proxy.instead = () => Buffer.from(JSON.stringify({ result: { wrong: true } }));
      const error = await errorOf(ask());
      expect(error).to.include({ code: "ANSWER_UNREADABLE", exitCode: 5 });
      expect(error?.message).to.match(field);

      proxy.instead = () => Buffer.from("<html>a gateway</html>");
      const other = await errorOf(ask());
      expect(other?.code).to.equal("ANSWER_UNREADABLE");
      expect(other?.message).to.contain("it is a page of a proxy");
    });
  }
});
