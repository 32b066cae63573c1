/** The restore command on real Qdrants: elsewhere, beside the live collection, in the past; what it plans and records. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { QdrantClient } from "@qdrant/js-client-rest";
import { expect } from "chai";
import type { Qdrant } from "../../runtime/adapters/qdrant/qdrant.ts";
import { compose } from "../../runtime/composition/compose.ts";
import type { Region } from "../../runtime/domain/region.ts";
import { claimEpoch } from "../../runtime/repository/control/epochs.ts";
import { recordRestoreStart } from "../../runtime/repository/control/restore-records.ts";
import { runCheckedCli } from "../support/checked-cli.ts";
import { lonelyRegion } from "../support/estates/lonely-region.ts";
import { clientOf, contentOf, databaseOf, emptied } from "../support/estates/recovery-practice.ts";
import { saidIn, storeOf } from "../support/estates/test-trust.ts";
import { QdrantServer } from "../support/servers/qdrant-server.ts";

const collection = "notes";

describe("qdrant-dr restore", function () {
  this.timeout(60_000);
  const folder = mkdtempSync(join(tmpdir(), "qdrant-dr-restore-"));
  const outputsFile = join(folder, "outputs.json");
  const keyFile = join(folder, "api-key");
  let ownServer: QdrantServer;
  let otherServer: QdrantServer;
  let own: Qdrant;
  let other: Qdrant;
  let client: QdrantClient;
  let outputs: Region;
  /** A moment between the two captures. */
  let between: string;

  before(async () => {
    // In cluster mode, for a collection with shard keys.
    [ownServer, otherServer] = await Promise.all([QdrantServer.start("first"), QdrantServer.start()]);
    [own, other] = [databaseOf(ownServer), databaseOf(otherServer)];
    client = clientOf(ownServer);
    const lonely = await lonelyRegion("prod", folder);
    outputs = {
      ...lonely.outputs,
      qdrant: { peers: [ownServer.url], apiKey: ownServer.apiKey },
      repository: { kind: "file", folder: join(folder, "repository") },
    };
    mkdirSync(join(folder, "repository"));
    writeFileSync(outputsFile, JSON.stringify(outputs));
    writeFileSync(keyFile, `${otherServer.apiKey}\n`);
    const epoch = { epoch: 1, active: "prod", reason: "initial", run: "r", at: "2026-01-01T00:00:00.000Z" } as const;
    await claimEpoch(storeOf(outputs, "control"), epoch);
    await client.createCollection(collection, {
      vectors: { size: 4, distance: "Dot" },
      wal_config: { wal_capacity_mb: 1 },
    });
    await own.createAlias({ alias: "current", collection });
    await write(1, 100, "first");
    await run(0, "backup");
    await sleep(5);
    between = new Date().toISOString();
    // Canary queries ask with points whose ids come first as texts: those hold.
    await write(51, 100, "second");
    await run(0, "backup");
  });

  after(async () => {
    await Promise.all([ownServer?.stop(), otherServer?.stop()]);
    rmSync(folder, { recursive: true, force: true });
  });

  afterEach("nothing but the live collection", async () => {
    await own.createAlias({ alias: "current", collection });
    for (const name of await own.collections()) if (name !== collection) await own.deleteCollection(name);
    await emptied(other);
  });

  async function write(from: number, to: number, tag: string): Promise<void> {
    const ids = Array.from({ length: to - from + 1 }, (_, n) => from + n);
    const points = ids.map((id) => ({ id, payload: { tag }, vector: [id, 1, id % 7, 0.5] }));
    await client.upsert(collection, { wait: true, points });
  }

  // biome-ignore lint/suspicious/noExplicitAny: answers of commands are compared field by field
  async function run(exitCode: number, command: string, ...args: string[]): Promise<any> {
    const said = { out: "", err: "" };
    const deps = await compose({
      progress: ({ detail, step }) => (said.err += `${step}: ${detail}\n`),
      onInterrupt: () => () => undefined,
    });
    const all = [...command.split(" "), "--stack", "prod", "--outputs", outputsFile, ...args, "--json"];
    const ended = await runCheckedCli(all, deps, {
      out: (text) => (said.out += text),
      err: (text) => (said.err += text),
    });
    expect(ended, `${said.out}\n${said.err}`).to.equal(exitCode);
    for (const secret of [ownServer.apiKey, outputs.keys.identity]) expect(said.out + said.err).not.to.contain(secret);
    return { ...JSON.parse(said.out), said: said.err };
  }

  const toOther = () => ["--to", otherServer.url, "--api-key-file", keyFile];
  const tagsIn = async (database: Qdrant, name: string) =>
    (await contentOf(database, name)).filter(({ payload }) => (payload as { tag: string }).tag === "second").length;

  it("says first what it would do: collections, bytes, the predicted time and its rates; a dry run ends there", async () => {
    const plan = await run(0, "restore", "--dry-run", ...toOther());

    expect(plan).to.deep.include({ target: otherServer.url, discard: [], aliases: [{ alias: "current", collection }] });
    expect(plan.collections).to.have.lengthOf(1);
    expect(plan.collections[0]).to.include({ name: collection, shards: 1, points: 100, isExact: true });
    expect(plan.bytes).to.equal(plan.collections[0].bytes).and.be.greaterThan(1_000);
    expect(plan.predictedSeconds).to.be.within(plan.bytes / plan.rates.bytesPerSecond, 60);
    expect(await other.collections()).to.deep.equal([]);
  });

  it("into another Qdrant leaves this region's captures as they are: its lineage goes on", async () => {
    const restored = await run(0, "restore", ...toOther());
    const again = await run(11, "restore", ...toOther());

    expect(restored.said).to.match(/plan: .*notes +100 points/s);
    expect(restored).to.include({ points: 100, collections: 1 });
    expect([restored.samples, restored.canaries]).to.satisfy(
      ([samples, canaries]: number[]) => Number(samples) > 0 && Number(canaries) > 0,
    );
    expect(await contentOf(other, collection)).to.deep.equal(await contentOf(own, collection));
    expect(await other.aliases()).to.deep.equal([{ alias: "current", collection }]);
    expect(again.error.code).to.equal("TARGET_NOT_EMPTY");
    expect((await run(0, "backup")).readBytes, "nothing is read again").to.equal(0);
  });

  it("takes a quarantined recovery point only when told to, by its id, and again once an operator has released it", async () => {
    const newest = (await run(0, "restore", "--dry-run", ...toOther())).recoveryPoint;
    const named = ["--recovery-point", newest];
    const said = await run(0, "recovery-points quarantine", ...named, "--because", "nobody knows it");
    expect(said).to.deep.include({ recoveryPoint: newest, state: "quarantined", reasons: ["nobody knows it"] });
    expect((await run(0, "restore", "--dry-run", ...toOther())).recoveryPoint).not.to.equal(newest);

    const refused = await run(10, "restore", ...named, ...toOther());
    expect(refused.error.code).to.equal("RECOVERY_POINT_INCOMPLETE");
    expect(refused.error.hint).to.contain("--although-quarantined");
    expect((await run(2, "restore", "--although-quarantined", ...toOther())).error.code).to.equal("USAGE");
    const restored = await run(0, "restore", "--although-quarantined", ...named, ...toOther());
    expect(restored.points).to.equal(100);
    expect(restored.said).to.contain(`${newest} is restored although it is quarantined: nobody knows it`);

    const released = await run(0, "recovery-points release", ...named, "--because", "it was ours");
    expect(released).to.include({ state: "complete" });
    await emptied(other);
    expect((await run(0, "restore", "--dry-run", ...named, ...toOther())).recoveryPoint).to.equal(newest);
  });

  it("takes the key from the environment, never from the URL, and says a wrong one as what it is", async () => {
    const before = process.env["QDRANT_API_KEY"];
    const { host } = new URL(otherServer.url);
    process.env["QDRANT_API_KEY"] = "another key";
    try {
      expect((await run(5, "restore", "--to", otherServer.url)).error.code).to.equal("ACCESS_DENIED");
    } finally {
      if (before === undefined) delete process.env["QDRANT_API_KEY"];
      else process.env["QDRANT_API_KEY"] = before;
    }
    const wrong = [`http://user:secret@${host}`, `http://user:sec,ret@${host}`, `user:secret@${host}`];
    for (const url of [
      ...wrong,
      `${otherServer.url}/?api-key=secret`,
      host,
      `${otherServer.url},${otherServer.url}/`,
    ]) {
      const { error, said } = await run(2, "restore", "--to", url);
      expect(error.code).to.equal("USAGE");
      expect(said).not.to.match(/sec,?ret/);
    }
    writeFileSync(keyFile, "two\nlines");
    const refused = await run(2, "restore", ...toOther());
    writeFileSync(keyFile, `${otherServer.apiKey}\n`);
    expect(refused.error).to.include({ code: "SETTING_INVALID" });
    expect(refused.error.message).to.contain(keyFile).and.not.contain("lines");
    expect((await run(2, "restore", "--api-key-file", keyFile)).error.message).to.contain("--to");
  });

  it("restores the state of a time in the past, beside the live collection, and touches no alias", async () => {
    const report = await run(
      0,
      "restore",
      "--recovery-point",
      between,
      "--collections",
      collection,
      "--as",
      "notes_before",
    );

    expect(report).to.include({ points: 100 });
    expect(report.samples).to.be.greaterThan(0);
    expect(await tagsIn(own, "notes_before")).to.equal(0);
    expect(await tagsIn(own, collection)).to.equal(50);
    expect(await own.aliases()).to.deep.equal([{ alias: "current", collection }]);
    expect((await run(10, "restore", "--recovery-point", "2020-01-01T00:00:00Z")).error.code).to.equal(
      "RECOVERY_POINT_NOT_FOUND",
    );
    expect((await run(2, "restore", "--recovery-point", "2020-01-01")).error.message).to.contain("zone");
  });

  it("replaces a corrupted collection for its clients by moving their alias, and says where that led before", async () => {
    const swap = ["--collections", collection, "--as", "notes_2", "--swap-alias", "current"];
    const plan = await run(0, "restore", ...swap, "--dry-run");
    const report = await run(0, "restore", ...swap);

    expect(plan.swap).to.deep.equal({ alias: "current", from: collection, to: "notes_2" });
    expect(report.swapped).to.deep.equal(plan.swap);
    expect(await own.aliases()).to.deep.equal([{ alias: "current", collection: "notes_2" }]);
    expect(await contentOf(own, "current")).to.deep.equal(await contentOf(own, collection));
    const records = readdirSync(join(folder, "control", "restores")).map((name) =>
      JSON.parse(saidIn(readFileSync(join(folder, "control", "restores", name), "utf8"))),
    );
    expect(records.filter(({ collections }) => collections.includes("notes_2"))).to.have.lengthOf(2);
  });

  it("refuses names that cannot be: a live one, an alias's, several collections under one, an alias that is a collection, one that Qdrant refuses", async () => {
    const as = (...args: string[]) => ["--collections", collection, "--as", ...args];
    expect((await run(11, "restore", ...as(collection))).error.code).to.equal("TARGET_NOT_EMPTY");
    expect((await run(11, "restore", ...as("current"))).error.message).to.contain("alias current");
    expect((await run(2, "restore", ...as("notes_2", "--swap-alias", collection))).error.code).to.equal("USAGE");
    expect((await run(2, "restore", "--swap-alias", "current")).error.code).to.equal("USAGE");
    expect((await run(2, "restore", "--collections", "nothing", "--as", "x")).error.code).to.equal("USAGE");
    const recorded = readdirSync(join(folder, "control", "restores"));
    expect((await run(2, "restore", ...as("notes_2026-05-31T14:30:00Z"))).error.message).to.contain('no ":" in it');
    expect(readdirSync(join(folder, "control", "restores")), "a record would refuse backups").to.deep.equal(recorded);
    expect(await own.collections()).to.deep.equal([collection]);
  });

  it("never throws a live collection away because a restore elsewhere was cut off", async () => {
    const cutOff = { id: "cut", recoveryPoint: "p", collections: [collection], target: otherServer.url };
    await recordRestoreStart(storeOf(outputs, "control"), { ...cutOff, at: new Date().toISOString() });

    expect((await run(11, "restore", "--discard-unfinished")).error.code).to.equal("TARGET_NOT_EMPTY");
    expect(await own.count(collection)).to.equal(100);
    await run(0, "restore", ...toOther(), "--discard-unfinished");
  });

  it("throws away only what the Qdrant itself was left with: another one at the same address keeps its collection", async () => {
    const control = storeOf(outputs, "control");
    const cutOff = (id: string, processes?: string[]) =>
      recordRestoreStart(control, {
        id,
        recoveryPoint: "p",
        collections: [collection],
        target: otherServer.url,
        at: new Date().toISOString(),
        ...(processes === undefined ? {} : { processes }),
      });
    await clientOf(otherServer).createCollection(collection, { vectors: { size: 4, distance: "Dot" } });
    for (const processes of [["another-process"], undefined]) {
      await cutOff(`elsewhere-${processes}`, processes);
      const refused = await run(11, "restore", ...toOther(), "--discard-unfinished");
      expect(refused.error.code).to.equal("TARGET_NOT_EMPTY");
      expect(refused.error.hint).to.contain("another server");
      expect(await other.collections()).to.deep.equal([collection]);
    }
    await cutOff("there", await other.processes());
    expect(await run(0, "restore", ...toOther(), "--discard-unfinished")).to.include({ points: 100 });
    const records = readdirSync(join(folder, "control", "restores")).map((name) =>
      JSON.parse(saidIn(readFileSync(join(folder, "control", "restores", name), "utf8"))),
    );
    const written = records.filter(
      ({ id, target }) => target === otherServer.url && id !== "cut" && !/there|where/.test(id),
    );
    expect(written).not.to.deep.equal([]);
    for (const { processes } of written) expect(processes).to.deep.equal(await other.processes());
  });

  it("knows its own Qdrant by any URL: what is restored there breaks the lineage", async () => {
    writeFileSync(keyFile, ownServer.apiKey);
    const url = ownServer.url.replace("127.0.0.1", "localhost");
    await run(0, "restore", "--to", url, "--api-key-file", keyFile, "--collections", collection, "--as", "notes_3");
    writeFileSync(keyFile, otherServer.apiKey);

    expect((await run(0, "backup")).readBytes, "everything is read again").to.be.greaterThan(0);
  });

  // The last of all: the newest recovery point holds another collection from here on.
  it("restores all else when the target cannot hold a collection, names it, and does not call that a success", async () => {
    await client.createCollection("tenants", { vectors: { size: 2, distance: "Dot" }, sharding_method: "custom" });
    await own.createShardKey("tenants", { key: "first", shards: 1 });
    await run(0, "backup");
    const because = "tenants has custom shard keys, and the target does not run in cluster mode";
    const plan = await run(15, "restore", "--dry-run", ...toOther());
    expect(plan.missing).to.have.lengthOf(1);
    expect(plan.missing[0]).to.include({ kind: "qdrant", name: "tenants", code: "NOT_SUPPORTED", because });
    expect(plan.collections).to.have.lengthOf(1);
    expect(await other.collections()).to.deep.equal([]);

    const restored = await run(15, "restore", ...toOther());
    expect(restored).to.deep.include({ collections: 1, points: 100, missing: plan.missing });
    expect(restored.said).to.contain(because);
    expect(await other.collections()).to.deep.equal([collection]);
    const asked = await run(2, "restore", ...toOther(), "--collections", "tenants");
    expect(asked.error.message, "by its name").to.contain(because);
  });
});
