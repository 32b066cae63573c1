/** What docs/tutorials/own-qdrant.md promises: from a Qdrant that runs to a recovery point that is proven restorable, as processes. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { QdrantClient } from "@qdrant/js-client-rest";
import { expect } from "chai";
import { parse } from "yaml";
import { clientOf } from "../support/estates/recovery-practice.ts";
import { Product } from "../support/product.ts";
import { QdrantCluster } from "../support/servers/qdrant-cluster.ts";
import { QdrantServer } from "../support/servers/qdrant-server.ts";
import { SeaweedServer } from "../support/servers/seaweedfs-server.ts";

const points = 400;
const secretKey = /AGE-SECRET-KEY-\S+/;

describe("an own Qdrant, from nothing", function () {
  this.timeout(240_000);
  const folder = mkdtempSync(join(tmpdir(), "qdrant-dr-own-"));
  let server: QdrantServer;
  let throwaway: QdrantServer;
  let store: SeaweedServer;
  let client: QdrantClient;

  before(async () => {
    [server, throwaway, store] = await Promise.all([QdrantServer.start(), QdrantServer.start(), SeaweedServer.start()]);
    client = clientOf(server);
    await client.createCollection("notes", { vectors: { size: 4, distance: "Euclid" }, shard_number: 2 });
    await client.createCollection("pictures", { vectors: { size: 2, distance: "Dot" } });
    await client.createCollection("empty", { vectors: { size: 2, distance: "Dot" } });
    await client.upsert("notes", {
      wait: true,
      points: Array.from({ length: points }, (_, id) => ({ id, vector: [id, 1, 2, id % 7], payload: { id } })),
    });
    await client.upsert("pictures", { wait: true, points: [{ id: 1, vector: [1, 2], payload: { is: "old" } }] });
    writeFileSync(join(folder, "qdrant-key"), `${server.apiKey}\n`, { mode: 0o600 });
  });

  after(async () => {
    await server?.stop();
    await throwaway?.stop();
    await store?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  /** Runs a command to its end, which is to be `exitCode`. */
  async function run(settings: string, args: readonly string[], exitCode = 0): Promise<Product> {
    const product = Product.startDirect([...args, "--settings", settings, "--json"], folder);
    expect(await product.end(), `${args.join(" ")}\n${product.stdout}\n${product.stderr}`).to.equal(exitCode);
    for (const secret of [server.apiKey, store.credentials.secretAccessKey]) {
      expect(product.stdout + product.stderr).not.to.contain(secret);
    }
    return product;
  }

  const places: [what: string, place: string, options: () => Promise<string[]>][] = [
    ["a folder", "backups", async () => []],
    [
      "a prefix of a bucket, beside what is not ours",
      "s3://shared/qdrant/main",
      async () => {
        await store.bucket("shared");
        process.env["AWS_ACCESS_KEY_ID"] = store.credentials.accessKeyId;
        process.env["AWS_SECRET_ACCESS_KEY"] = store.credentials.secretAccessKey;
        return ["--s3-endpoint", store.endpoint];
      },
    ],
  ];
  for (const [what, place, options] of places) {
    it(`reaches a verified, test-restored recovery point in ${what}, and restores a deleted collection`, async () => {
      const own = mkdtempSync(join(folder, "own-"));
      const settings = join(own, "qdrant-dr.yaml");
      const more = await options();
      const init = ["init", "--qdrant", server.url, "--store", place, ...more, "--yes"];

      const made = await run(settings, [...init, "--api-key-file", join(folder, "qdrant-key")]);
      expect(made.json).to.include({ settings, region: "main", isNew: true, collections: 3, epoch: 1 });
      expect(made.stderr).to.match(secretKey);
      expect(made.stdout).not.to.match(secretKey);
      const offline = secretKey.exec(made.stderr)?.[0] ?? "";
      for (const name of ["qdrant-dr.yaml", "qdrant-dr.key"]) {
        expect(statSync(join(own, name)).mode & 0o777, name).to.equal(0o600);
        expect(readFileSync(join(own, name), "utf8")).not.to.contain(offline);
      }
      expect(readFileSync(settings, "utf8")).not.to.match(secretKey);

      const again = await run(settings, init);
      expect(again.json).to.include({ isNew: false, epoch: 1 });

      expect((await run(settings, ["backup"])).json).to.include({ type: "full", isExact: true });
      expect((await run(settings, ["verify"])).json).to.have.property("recoveryPoint");
      const test = (await run(settings, ["restore", "--test"])).json as { test: { collections: { name: string }[] } };
      expect(test.test.collections.map(({ name }) => name)).to.have.members(["notes", "pictures", "empty"]);
      expect(namesOf(await client.getCollections())).to.have.members(["notes", "pictures", "empty"]);
      // The Qdrant that was restored into counts as before: the next capture reads what changed, and no more.
      expect((await run(settings, ["backup"])).json).to.include({ type: "incremental", readBytes: 0 });
      const status = (await run(settings, ["status"])).json as { regions: unknown[]; active: { region: string } };
      expect(status.regions).to.have.length(1);
      expect(status.active.region).to.equal("main");

      await client.deleteCollection("notes");
      await run(settings, ["restore", "--collections", "notes"]);
      expect((await client.count("notes")).count).to.equal(points);
      const listed = (await run(settings, ["recovery-points", "list"])).json as { recoveryPoints: { state: string }[] };
      expect(listed.recoveryPoints.map(({ state }) => state)).to.deep.equal(["complete", "complete"]);
      const offlineFile = join(own, "offline.key");
      writeFileSync(offlineFile, offline, { mode: 0o600 });
      rmSync(join(own, "qdrant-dr.key"));
      // The machine's own key is lost: the one that was shown opens everything.
      await run(settings, ["verify", "--identity-file", offlineFile]);
      const signing = join(own, "qdrant-dr.signing-key");
      rmSync(signing);
      const keysNew = Product.startDirect(["keys", "new", "--name", "main-2", "--file", signing, "--json"], folder);
      expect(await keysNew.end(), keysNew.stderr).to.equal(0);
      const { key, name } = keysNew.json as { key: string; name: string };
      const text = readFileSync(settings, "utf8");
      writeFileSync(
        settings,
        text.replace(/^ {2}keys:\n(?= {4}- \{)/m, (line) => `${line}    - ${JSON.stringify({ name, key })}\n`),
      );
      await run(settings, ["backup", "--identity-file", offlineFile]);

      // The machine is lost with its Qdrant: another one has what was shown, and the store.
      for (const name of ["notes", "pictures", "empty"]) await client.deleteCollection(name);
      const elsewhere = mkdtempSync(join(folder, "elsewhere-"));
      writeFileSync(join(elsewhere, "qdrant-dr.key"), made.stderr.slice(made.stderr.indexOf("# qdrant-dr: offline")));
      const found = place.startsWith("s3://") ? place : join(own, place);
      const initElsewhere = ["init", "--qdrant", server.url, "--store", found, ...more, "--yes"];
      const begun = await run(join(elsewhere, "qdrant-dr.yaml"), [
        ...initElsewhere,
        ...["--api-key-file", join(folder, "qdrant-key")],
      ]);
      expect(begun.json).to.include({ isNew: true, collections: 0, holdsRecoveryPoints: true, epoch: 1 });
      await run(join(elsewhere, "qdrant-dr.yaml"), ["restore"]);
      expect((await client.count("notes")).count).to.equal(points);
      expect((await run(join(elsewhere, "qdrant-dr.yaml"), ["backup"])).json).to.include({ isExact: true });
    });
  }

  it("of several peers, each of which the settings name, is captured, verified, and restored; a peer that is down is named", async () => {
    const cluster = await QdrantCluster.start(2);
    try {
      const own = mkdtempSync(join(folder, "peers-"));
      const settings = join(own, "qdrant-dr.yaml");
      const keyFile = join(own, "cluster-key");
      writeFileSync(keyFile, cluster.apiKey, { mode: 0o600 });
      const [first, second] = cluster.servers as [QdrantServer, QdrantServer];
      const ofCluster = clientOf(first);
      await ofCluster.createCollection("spread", {
        vectors: { size: 2, distance: "Dot" },
        shard_number: 4,
        replication_factor: 1,
        wal_config: { wal_capacity_mb: 1 },
      });
      await ofCluster.createCollection("twofold", { vectors: { size: 2, distance: "Dot" }, replication_factor: 2 });
      const ids = Array.from({ length: points }, (_, id) => id);
      await ofCluster.upsert("spread", { wait: true, points: ids.map((id) => ({ id, vector: [id, 1] })) });

      const init = ["init", "--yes", "--qdrant", cluster.urls.join(","), "--store", "backups"];
      await run(settings, [...init, "--api-key-file", keyFile]);
      expect(parse(readFileSync(settings, "utf8")).qdrant.peers).to.deep.equal(cluster.urls);
      expect((await run(settings, ["backup"])).json).to.include({ isExact: true, collections: 2 });
      await run(settings, ["verify"]);
      await ofCluster.deleteCollection("spread");
      await run(settings, ["restore", "--collections", "spread"]);
      const restored = await ofCluster.scroll("spread", { limit: points + 1, with_vector: false });
      expect(restored.points.map(({ id }) => id)).to.have.members(ids);

      await second.kill();
      const partial = await run(settings, ["backup"], 15);
      expect(partial.stdout + partial.stderr).to.contain(second.url);
      expect((partial.json as { missing: { name: string }[] }).missing.map(({ name }) => name)).to.deep.equal([
        "spread",
      ]);
    } finally {
      await cluster.stop();
    }
  });

  it("a test restore takes the Qdrant that the settings name for it, and removes what it made when it is interrupted", async () => {
    const own = mkdtempSync(join(folder, "test-"));
    const settings = join(own, "qdrant-dr.yaml");
    const key = join(folder, "qdrant-key");
    await run(settings, ["init", "--qdrant", server.url, "--store", "backups", "--yes", "--api-key-file", key]);
    await run(settings, ["backup"]);
    const elsewhere = `testRestore:\n  qdrant: ${throwaway.url}\n  apiKey: { file: ${JSON.stringify(key)} }\n`;
    const beside = join(own, "beside.yaml");
    writeFileSync(beside, readFileSync(settings, "utf8"));
    writeFileSync(settings, readFileSync(settings, "utf8") + elsewhere);

    const { test } = (await run(settings, ["restore", "--test", "--collections", "pictures"])).json as {
      test: { target: string };
    };
    expect(test.target).to.equal(throwaway.url);

    const without = join(own, "without.yaml");
    writeFileSync(without, `${readFileSync(beside, "utf8")}exclude: [pict*]\n`);
    expect((await run(without, ["backup", "--dry-run"])).json).to.deep.include({ excluded: ["pictures"] });

    const interrupted = Product.startDirect(["restore", "--test", "--settings", beside], folder);
    await interrupted.says(/^apply: /);
    server.pause();
    interrupted.signal("SIGINT");
    await interrupted.says(/^SIGINT/);
    server.resume();
    expect(await interrupted.end(), interrupted.stderr).to.equal(130);
    expect(namesOf(await client.getCollections())).to.have.members(["notes", "pictures", "empty"]);
    expect(namesOf(await clientOf(throwaway).getCollections())).to.deep.equal([]);
  });

  it("is refused before anything is written where Qdrant or the store is not as it must be", async () => {
    const own = mkdtempSync(join(folder, "refused-"));
    const settings = join(own, "qdrant-dr.yaml");
    const init = (...more: string[]) => ["init", "--yes", ...more];
    const codes = [
      [await run(settings, init("--store", "backups"), 2), "USAGE"],
      [await run(settings, init("--qdrant", server.url, "--store", "backups"), 5), "ACCESS_DENIED"],
    ] as const;
    for (const [product, code] of codes) {
      expect((product.json as { error: { code: string } }).error.code).to.equal(code);
    }
    expect(readdirSync(own)).to.deep.equal([]);
  });
});

function namesOf({ collections }: { collections: { name: string }[] }): string[] {
  return collections.map(({ name }) => name);
}
