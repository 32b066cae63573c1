/** Whether Qdrant's history changes with everything that makes its versions incomparable, and with nothing else. */
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { QdrantClient } from "@qdrant/js-client-rest";
import { expect } from "chai";
import { Qdrant } from "../../runtime/adapters/qdrant/qdrant.ts";
import type { ShardPlacement } from "../../runtime/ports/qdrant.ts";
import { allOf } from "../support/all-of.ts";
import { QdrantServer } from "../support/servers/qdrant-server.ts";

const collection = "notes";

describe("Qdrant's history", function () {
  this.timeout(60_000);
  let server: QdrantServer;
  let qdrant: Qdrant;
  let client: QdrantClient;
  let shard: ShardPlacement;
  let shardArchive: Buffer<ArrayBuffer>;
  let wholeArchive: Buffer<ArrayBuffer>;
  let partialArchive: Buffer<ArrayBuffer>;
  let archives: Server;
  let archivesUrl: string;

  before(async () => {
    server = await QdrantServer.start();
    qdrant = new Qdrant({ peers: [server.url], apiKey: server.apiKey });
    client = new QdrantClient({ url: server.url, headers: { "api-key": server.apiKey }, checkCompatibility: false });
    await client.createCollection(collection, {
      vectors: { size: 2, distance: "Dot" },
      wal_config: { wal_capacity_mb: 1 },
    });
    await client.upsert(collection, { wait: true, points: [{ id: 1, vector: [1, 2] }] });
    [shard] = (await qdrant.shards(collection)) as [ShardPlacement];
    const { name } = (await client.createSnapshot(collection)) as { name: string };
    wholeArchive = await bytes("GET", `/snapshots/${name}`);
    shardArchive = await bytes("GET", "/shards/0/snapshot");
    partialArchive = await bytes("POST", "/shards/0/snapshot/partial/create", {});
    archives = createServer(({ url }, answer) => {
      answer.end(url === "/whole" ? wholeArchive : shardArchive);
    });
    await once(archives.listen(0, "127.0.0.1"), "listening");
    archivesUrl = `http://127.0.0.1:${(archives.address() as AddressInfo).port}`;
  });

  after(async () => {
    archives?.close();
    await server?.stop();
  });

  async function ask(method: string, path: string, body?: object | FormData): Promise<Response> {
    const isForm = body instanceof FormData;
    return fetch(`${server.url}/collections/${collection}${path}`, {
      method,
      headers: { "api-key": server.apiKey, ...(isForm ? {} : { "content-type": "application/json" }) },
      ...(body === undefined ? {} : { body: isForm ? body : JSON.stringify(body) }),
    });
  }

  async function bytes(...request: Parameters<typeof ask>): Promise<Buffer<ArrayBuffer>> {
    return Buffer.from(await (await ask(...request)).arrayBuffer());
  }

  function formOf(archive: Buffer<ArrayBuffer>): FormData {
    const form = new FormData();
    form.append("snapshot", new Blob([archive]), "archive.snapshot");
    return form;
  }

  const restoreShard = () => ask("POST", "/shards/0/snapshots/upload?priority=snapshot", formOf(shardArchive));

  it("stays through reads, writes, changed settings, captures, snapshots, and other collections", async () => {
    const before = await qdrant.restoreFingerprint(shard);

    await allOf(qdrant.ids(collection));
    await client.upsert(collection, { wait: true, points: [{ id: 2, vector: [1, 2] }] });
    await client.delete(collection, { wait: true, points: [2] });
    await client.updateCollection(collection, { optimizers_config: { indexing_threshold: 5_000 } });
    await client.createPayloadIndex(collection, { field_name: "tag", field_schema: "keyword", wait: true });
    await bytes("POST", "/shards/0/snapshot/partial/create", {});
    await bytes("GET", "/shards/0/snapshot");
    await bytes("GET", "/shards/0/snapshot/partial/manifest");
    const { name } = (await client.createSnapshot(collection)) as { name: string };
    await client.deleteSnapshot(collection, name);
    await client.createCollection("other", { vectors: { size: 2, distance: "Dot" } });
    await client.deleteCollection("other");

    expect(await qdrant.restoreFingerprint(shard)).to.equal(before);
  });

  const restores: Record<string, () => Promise<Response>> = {
    "a shard's upload": restoreShard,
    "a shard's recovery from a URL": () =>
      ask("PUT", "/shards/0/snapshots/recover", { location: `${archivesUrl}/shard`, priority: "snapshot" }),
    "a collection's upload": () => ask("POST", "/snapshots/upload?priority=snapshot", formOf(wholeArchive)),
    "a collection's recovery from a URL": () =>
      ask("PUT", "/snapshots/recover", { location: `${archivesUrl}/whole`, priority: "snapshot" }),
    "a partial snapshot": () => ask("POST", "/shards/0/snapshot/partial/recover", formOf(partialArchive)),
    "another server's state": () =>
      ask("POST", "/shards/0/snapshot/partial/recover_from", { peer_url: server.url, api_key: server.apiKey }),
  };
  for (const [way, restore] of Object.entries(restores)) {
    it(`changes with ${way}`, async () => {
      const before = await qdrant.restoreFingerprint(shard);
      expect(await qdrant.restoreFingerprint(shard)).to.equal(before);

      await (await restore()).text();

      const after = await qdrant.restoreFingerprint(shard);
      expect(after).not.to.equal(before);
      expect(await qdrant.restoreFingerprint(shard)).to.equal(after);
    });
  }

  it("changes with a restore that fails: how far it came is not known", async () => {
    const before = await qdrant.restoreFingerprint(shard);

    const answer = await ask("POST", "/shards/0/snapshots/upload?priority=snapshot", formOf(Buffer.from("no tar")));

    expect(answer.ok).to.equal(false);
    expect(await qdrant.restoreFingerprint(shard)).not.to.equal(before);
  });

  it("is never the same while a restore is under way, and another afterwards", async () => {
    const during = new Set<string>();
    // It takes some milliseconds: a look may miss it.
    for (let tries = 0; during.size === 0 && tries < 10; tries += 1) {
      const before = await qdrant.restoreFingerprint(shard);
      let isDone = false;
      const restore = restoreShard().then(() => {
        isDone = true;
      });
      while (!isDone) during.add(await qdrant.restoreFingerprint(shard));
      await restore;

      const after = await qdrant.restoreFingerprint(shard);
      expect(after).not.to.equal(before);
      expect(await qdrant.restoreFingerprint(shard)).to.equal(after);
      during.delete(before);
      during.delete(after);
    }
    expect(during.size, "strings of their own, seen meanwhile").to.be.greaterThan(0);
  });

  it("changes with a new start, and is never the same from a restore in the background until the next start", async () => {
    const before = await qdrant.restoreFingerprint(shard);
    await server.kill();
    await server.restart();
    const restarted = await qdrant.restoreFingerprint(shard);
    expect(restarted).not.to.equal(before);
    expect(await qdrant.restoreFingerprint(shard)).to.equal(restarted);

    const answer = await ask("POST", "/shards/0/snapshots/upload?priority=snapshot&wait=false", formOf(shardArchive));

    expect(answer.status).to.equal(202);
    // Accepted, and done at a time that nothing tells: no two captures compare until the next start.
    const accepted = await qdrant.restoreFingerprint(shard);
    expect(accepted).not.to.equal(restarted);
    expect(await qdrant.restoreFingerprint(shard)).not.to.equal(accepted);
    await server.kill();
    await server.restart();
    const settled = await qdrant.restoreFingerprint(shard);
    expect(await qdrant.restoreFingerprint(shard)).to.equal(settled);
  });
});
