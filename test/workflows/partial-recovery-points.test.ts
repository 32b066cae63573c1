/** One bad part never stops the rest: a partial recovery point says what it lacks, and nobody takes it for whole. Real Qdrants. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { QdrantClient } from "@qdrant/js-client-rest";
import { expect } from "chai";
import type { Qdrant } from "../../runtime/adapters/qdrant/qdrant.ts";
import { compose } from "../../runtime/composition/compose.ts";
import type { Region } from "../../runtime/domain/region.ts";
import { claimEpoch, readEpochs } from "../../runtime/repository/control/epochs.ts";
import { recordRestoreEnd, recordRestoreStart } from "../../runtime/repository/control/restore-records.ts";
import type { FailoverRequest } from "../../runtime/workflows/failover/request.ts";
import { WatchedRuns } from "../../runtime/workflows/monitoring/watched-runs.ts";
import { runCheckedCli } from "../support/checked-cli.ts";
import { planAndFailOver } from "../support/estates/change-roles.ts";
import { FakeStacks, FakeTraffic, regionNamed } from "../support/estates/fake-region.ts";
import { lonelyRegion } from "../support/estates/lonely-region.ts";
import { silently, systemClock } from "../support/estates/recovery-estate.ts";
import { clientOf, databaseOf, emptied } from "../support/estates/recovery-practice.ts";
import { StandbyPair } from "../support/estates/standby-pair.ts";
import { storeOf } from "../support/estates/test-trust.ts";
import { errorOf } from "../support/expect-code.ts";
import { QdrantServer } from "../support/servers/qdrant-server.ts";
import { clockShowing } from "../support/time/clock-showing.ts";

const settings = { vectors: { size: 2, distance: "Dot" }, wal_config: { wal_capacity_mb: 1 } } as const;
const points = (from: number, count: number) =>
  Array.from({ length: count }, (_, n) => ({ id: from + n, payload: { rank: n }, vector: [n, 1] }));
const fill = async (client: QdrantClient, name: string) => {
  await client.createCollection(name, settings);
  await client.upsert(name, { wait: true, points: points(0, 20) });
};

/** As Qdrant leaves a shard that it did not finish to make. */
const marker = (server: QdrantServer, name: string) =>
  join(server.folder, "storage", "collections", name, "shard_0.initializing");

async function unload(server: QdrantServer, name: string): Promise<void> {
  await server.kill();
  writeFileSync(marker(server, name), "");
  await server.restart();
}

async function load(server: QdrantServer, name: string): Promise<void> {
  await server.kill();
  rmSync(marker(server, name));
  await server.restart();
}

describe("a capture of which one part cannot be read", function () {
  this.timeout(120_000);
  const folder = mkdtempSync(join(tmpdir(), "qdrant-dr-partial-"));
  const outputsFile = join(folder, "outputs.json");
  const keyFile = join(folder, "api-key");
  const userData = join(folder, "user-data");
  let server: QdrantServer;
  let otherServer: QdrantServer;
  let own: Qdrant;
  let other: Qdrant;
  let client: QdrantClient;
  let outputs: Region;

  before(async () => {
    [server, otherServer] = await Promise.all([QdrantServer.start(), QdrantServer.start()]);
    [own, other] = [databaseOf(server), databaseOf(otherServer)];
    client = clientOf(server);
  });

  beforeEach(async () => {
    await Promise.all([emptied(own), emptied(other)]);
    for (const name of ["notes", "broken"]) await fill(client, name);
    await own.createAlias({ alias: "current", collection: "broken" });
    rmSync(folder, { recursive: true });
    for (const each of [folder, userData, join(folder, "repository")]) mkdirSync(each);
    writeFileSync(join(userData, "kept"), "kept");
    outputs = {
      ...(await lonelyRegion("prod", folder)).outputs,
      qdrant: { peers: [server.url], apiKey: server.apiKey },
      repository: { kind: "file", folder: join(folder, "repository") },
      userData: [{ name: "files", path: userData }],
    };
    writeFileSync(outputsFile, JSON.stringify(outputs));
    writeFileSync(keyFile, otherServer.apiKey);
    const epoch = { epoch: 1, active: "prod", reason: "initial", run: "r", at: "2026-01-01T00:00:00.000Z" } as const;
    await claimEpoch(storeOf(outputs, "control"), epoch);
  });

  after(async () => {
    await Promise.all([server?.stop(), otherServer?.stop()]);
    rmSync(folder, { recursive: true, force: true });
  });

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
    return { ...JSON.parse(said.out), said: said.err };
  }

  const toOther = () => ["--to", otherServer.url, "--api-key-file", keyFile];

  it("captures everything else, keeps what it had of it, says so wherever it is looked at, and is whole again afterwards", async () => {
    const first = await run(0, "backup");
    expect(first.missing).to.deep.equal([]);
    await unload(server, "broken");
    await client.upsert("notes", { wait: true, points: points(20, 5) });
    writeFileSync(Buffer.concat([Buffer.from(`${userData}/odd-`), Buffer.from([0xff])]), "a name that is not UTF-8");

    const planned = await run(15, "backup", "--dry-run");
    expect(planned.missing).to.have.length(1);
    const partial = await run(15, "backup");

    const [broken, odd] = partial.missing;
    expect(broken).to.include({ kind: "qdrant", name: "broken", code: "QDRANT_REFUSED" });
    expect(broken.heldAsOf).to.be.a("string");
    expect(odd).to.include({ kind: "user-data", name: "files", path: "odd-�" });
    expect(partial).to.include({ collections: 2, points: 45, folders: 1, isExact: false });
    expect(Date.parse(partial.time), "the time that it stands for").to.equal(Date.parse(broken.heldAsOf));
    expect(partial.said).to.contain("is partial: collection broken is in it as of").and.contain("1 more part");
    const { recoveryPoints } = await run(0, "recovery-points list");
    expect(recoveryPoints.at(-1).missing).to.deep.equal(partial.missing);
    expect((await run(0, "verify")).missing).to.deep.equal(partial.missing);
    const runs = await new WatchedRuns(storeOf(outputs, "control"), systemClock, () => undefined).read();
    expect(runs.incremental?.last).to.include({ exitCode: 15, error: "RECOVERY_POINT_PARTIAL" });

    const restored = await run(15, "restore", ...toOther());
    expect(restored.missing).to.deep.equal([broken]);
    expect([await other.count("broken"), await other.count("notes")]).to.deep.equal([20, 25]);
    await emptied(other);
    expect((await run(0, "restore", "--collections", "notes", ...toOther())).missing).to.deep.equal([]);

    await load(server, "broken");
    rmSync(Buffer.concat([Buffer.from(`${userData}/odd-`), Buffer.from([0xff])]));
    expect(await run(0, "backup")).to.deep.include({ missing: [], collections: 2, isExact: true });
  });

  it("holds nothing in its place that is of before a restore, and the newest that holds it is found", async () => {
    const first = await run(0, "backup");
    const record = {
      id: "r",
      recoveryPoint: first.recoveryPoint,
      collections: ["notes"],
      at: new Date().toISOString(),
    };
    await recordRestoreStart(storeOf(outputs, "control"), record);
    await recordRestoreEnd(storeOf(outputs, "control"), record, new Date());
    await unload(server, "broken");

    const partial = await run(15, "backup");

    expect(partial.missing[0]).to.include({ name: "broken" }).and.not.to.have.property("heldAsOf");
    expect(partial).to.include({ collections: 1, isExact: false });
    const again = await run(15, "backup", "--collections", "notes");
    expect(again.missing, "not asked for, and missing all the same").to.deep.equal(partial.missing);
    expect((await run(15, "restore", ...toOther())).collections).to.equal(1);
    expect((await run(0, "restore", "--collections", "broken", ...toOther())).recoveryPoint).to.equal(
      first.recoveryPoint,
    );
    await load(server, "broken");
    expect((await run(0, "backup")).collections).to.equal(2);
  });

  it("is none when nothing could be read, and of one kind only when that could", async () => {
    await own.deleteCollection("notes");
    await unload(server, "broken");
    const refused = await run(5, "backup", "--only", "qdrant");
    expect(refused.error)
      .to.include({ code: "QDRANT_REFUSED" })
      .and.have.property("message")
      .contain("nothing was committed");
    const partial = await run(15, "backup");
    expect(partial).to.include({ collections: 0, folders: 1 });
    const { recoveryPoints } = await run(0, "recovery-points list");
    expect(recoveryPoints[0].kinds).to.deep.equal(["user-data"]);
    await run(10, "restore", ...toOther());
    rmSync(marker(server, "broken"));
    await server.kill();
    await server.restart();
  });

  it("names a collection whose snapshot Qdrant refuses, and one with a folder that is gone", async () => {
    await run(0, "backup");
    await client.upsert("broken", { wait: true, points: points(20, 5) });
    const shard = join(server.folder, "storage", "collections", "broken", "0", "segments");
    for (const segment of readdirSync(shard)) rmSync(join(shard, segment), { recursive: true });
    rmSync(userData, { recursive: true });

    const partial = await run(15, "backup");

    expect(partial.missing.map(({ kind, name }: { kind: string; name: string }) => `${kind} ${name}`)).to.deep.equal([
      "qdrant broken",
      "user-data files",
    ]);
    expect(partial.missing[0].heldAsOf).to.be.a("string");
    expect(partial.missing[1], "of its kind there is nothing else").not.to.have.property("heldAsOf");
    expect(partial).to.include({ collections: 2, folders: 0 });
  });

  it("leaves out on purpose what is excluded, which is no failure", async () => {
    await run(2, "backup", "--exclude", "bro*", "--collections", "broken");
    const without = await run(0, "backup", "--exclude", "bro*,nothing-*");
    expect(without).to.deep.include({ missing: [], excluded: ["broken"], collections: 1, isExact: true });
    const restored = await run(0, "restore", ...toOther());
    expect(restored).to.include({ collections: 1 });
    expect(restored.said).to.contain("left out of the recovery point on purpose: broken");
    expect(await run(0, "backup")).to.deep.include({ excluded: [], collections: 2 });
  });
});

describe("a standby whose source holds a collection that cannot be read", function () {
  this.timeout(120_000);

  it("follows all the others, and keeps what it has of that one however long it takes", async () => {
    const pair = await StandbyPair.start();
    try {
      let late = 0;
      const clock = clockShowing(() => new Date(Date.now() + late));
      for (const name of ["notes", "broken"]) await fill(pair.client, name);
      await pair.source.createAlias({ alias: "current", collection: "broken" });
      const replication = await pair.replication({ clock });
      await replication.cycle("exact");
      await unload(pair.sourceServer, "broken");
      await pair.client.upsert("notes", { wait: true, points: points(20, 5) });

      const held = await replication.cycle("exact");
      expect(held.missing[0]).to.include({ name: "broken" });
      expect(Date.parse(held.asOf)).to.equal(Date.parse(held.missing[0]?.heldAsOf ?? ""));
      expect(await pair.standby.count("notes")).to.equal(25);
      expect((await replication.cycle("exact")).isChanged, "the same again").to.equal(false);

      const record = {
        id: "r",
        recoveryPoint: held.recoveryPoint,
        collections: ["notes"],
        at: new Date().toISOString(),
      };
      await recordRestoreStart(pair.east.control, record);
      await recordRestoreEnd(pair.east.control, record, new Date());
      for (const hours of [0, 25, 50]) {
        late = hours * 3_600_000;
        await pair.client.upsert("notes", { wait: true, points: points(30 + hours, 1) });
        const { missing } = await replication.cycle("exact");
        expect(missing[0]).to.include({ name: "broken" }).and.not.to.have.property("heldAsOf");
        expect(await pair.standby.count("broken"), `after ${hours} h`).to.equal(20);
      }
      expect(await pair.standby.aliases()).to.deep.equal([{ alias: "current", collection: "broken" }]);

      await load(pair.sourceServer, "broken");
      expect((await replication.cycle("exact")).missing).to.deep.equal([]);
      expect(await pair.differences("broken")).to.deep.equal([]);
    } finally {
      await pair.stop();
    }
  });

  it("takes over without what it never held only when somebody accepts that, by name", async () => {
    const pair = await StandbyPair.start();
    try {
      for (const name of ["notes", "broken"]) await fill(pair.client, name);
      await unload(pair.sourceServer, "broken");
      await (await pair.replication()).cycle("exact");
      await pair.sourceServer.kill();
      const traffic = new FakeTraffic();
      const failover = async (more: Partial<FailoverRequest>) =>
        planAndFailOver({
          kind: "failover",
          stack: "west",
          region: regionNamed("west"),
          repository: await pair.repository(),
          database: pair.standby,
          lostControl: undefined,
          traffic,
          stacks: new FakeStacks(pair.west.control),
          run: "run",
          acceptedDataLossSeconds: 600,
          clock: systemClock,
          progress: silently,
          ...more,
        });
      for (const acceptedAbsent of [undefined, [], ["notes"]]) {
        const refusal = await errorOf(failover({ acceptedAbsent }));
        expect(refusal?.code).to.equal("DATA_LOSS_NOT_ACCEPTED");
        expect(refusal?.message).to.match(/is partial: .*broken/);
        expect(refusal?.hint).to.contain("--accept-absent broken");
        expect(await readEpochs(pair.west.control), "nothing was claimed").to.have.length(1);
      }
      const report = await failover({ acceptedAbsent: ["broken"] });
      expect([report.epoch, report.absent]).to.deep.equal([2, ["broken"]]);
      expect(traffic.target).to.deep.equal({ region: "west", epoch: 2 });
      expect(await pair.standby.collections()).to.deep.equal(["notes"]);
      expect(await pair.standby.count("notes")).to.equal(20);
    } finally {
      await pair.stop();
    }
  });
});
