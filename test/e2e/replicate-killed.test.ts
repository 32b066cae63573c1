/**
 * `replicate` as a process that is killed again and again, each time while one of its requests to the standby's Qdrant is under way, and
 * started again as a supervisor does, while clients make, drop, re-make and rename collections: no start ends by itself, and none needs a hand.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { QdrantClient } from "@qdrant/js-client-rest";
import { expect } from "chai";
import type { Qdrant } from "../../runtime/adapters/qdrant/qdrant.ts";
import { clientOf, contentOf, databaseOf } from "../support/estates/recovery-practice.ts";
import { regionPair } from "../support/estates/region-pair.ts";
import { FaultProxy } from "../support/faults/fault-proxy.ts";
import { howMany } from "../support/how-many.ts";
import { Product } from "../support/product.ts";
import { seeded } from "../support/seeded.ts";
import { QdrantServer } from "../support/servers/qdrant-server.ts";

const kills = howMany("QDRANT_DR_KILLS", { suite: 2, proof: 30 });
const seed = Number(process.env["QDRANT_DR_SEED"] ?? 17_033_007);
const settings = {
  vectors: { size: 4, distance: "Dot" },
  shard_number: 2,
  wal_config: { wal_capacity_mb: 1 },
} as const;
/** A cycle that makes a collection sends about so many requests to the standby. */
const mostRequests = 60;

describe("replicate, killed while collections come, go and are renamed", function () {
  this.timeout(60_000 + 30_000 * kills);
  const folder = mkdtempSync(join(tmpdir(), "qdrant-dr-replicate-killed-"));
  const random = seeded(seed);
  let servers: readonly [QdrantServer, QdrantServer];
  let proxy: FaultProxy;
  let source: Qdrant;
  let client: QdrantClient;

  before(async () => {
    console.log(`    seed ${seed}: with another QDRANT_DR_SEED, other instants and changes`);
    servers = await Promise.all([QdrantServer.start(), QdrantServer.start()]);
    const [east, west] = servers;
    proxy = await FaultProxy.start(west.url);
    await regionPair(folder, {
      east: { qdrant: { peers: [east.url], apiKey: east.apiKey } },
      west: { qdrant: { peers: [proxy.url], apiKey: west.apiKey } },
    });
    [source, client] = [databaseOf(east), clientOf(east)];
    await make("first");
  });

  after(async () => {
    await proxy?.stop();
    for (const server of servers ?? []) await server.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const start = (...how: readonly string[]) =>
    Product.startDirect(
      ["replicate", "--from", "east", "--to", "west", "--outputs", join(folder, "regions"), "--json", ...how],
      folder,
    );

  const below = (most: number) => Math.floor(random() * most);

  async function make(name: string): Promise<void> {
    await client.createCollection(name, settings);
    await client.createPayloadIndex(name, { field_name: "group", field_schema: "integer", wait: true });
    const first = below(1_000);
    const points = Array.from({ length: 50 }, (_, n) => ({
      id: first + n,
      payload: { group: n },
      vector: [n, 1, 2, 3],
    }));
    await client.upsert(name, { wait: true, points });
  }

  /** Something new to make, and one other change. */
  async function change(round: number): Promise<void> {
    const names = await source.collections();
    const one = names[below(names.length)] ?? "first";
    await make(`made-${round}`);
    switch (below(3)) {
      case 0:
        await client.deleteCollection(one);
        break;
      case 1:
        await client.deleteCollection(one);
        await make(one);
        break;
      default:
        await client.updateCollectionAliases({
          actions: [{ create_alias: { alias_name: "current", collection_name: one } }],
        });
    }
  }

  it(`goes on by itself after each of ${kills} kills, and then the standby is as the source`, async () => {
    for (let round = 1; round <= kills; round += 1) {
      await change(round);
      const at = 1 + below(mostRequests);
      const isSeen = random() < 0.5;
      const product = start("--every", "0.05");
      let requests = 0;
      proxy.plan = () => {
        requests += 1;
        if (requests === at) product.signal("SIGKILL");
        // What is sent in the instant of the death comes to Qdrant, or does not.
        return requests < at || isSeen ? undefined : "cut in the request";
      };
      await product.end();
      expect(product.wasKilled, `round ${round}, request ${at}: it ended by itself\n${product.stderr}`).to.equal(true);
      proxy.reset();
    }
    const last = start("--once");
    expect(await last.end(), last.stdout + last.stderr).to.equal(0);
    const standby = databaseOf(servers[1]);
    const names = await source.collections();
    expect(names.length).to.be.greaterThan(0);
    for (const name of names) {
      expect(await contentOf(standby, name), name).to.deep.equal(await contentOf(source, name));
      expect((await standby.describe(name)).payloadIndexes, name).to.deep.equal(
        (await source.describe(name)).payloadIndexes,
      );
    }
    expect(await standby.aliases()).to.deep.equal(await source.aliases());
  });
});
