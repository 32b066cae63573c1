/**
 * A standby that follows a journal is the source, digit for digit, whatever clients do. Real Qdrants. QDRANT_DR_SEEDS says how many rounds
 * (100 is the bar), QDRANT_DR_SEED where they begin.
 */
import { expect } from "chai";
import { beginOfJournal } from "../../runtime/domain/journal/position.ts";
import type { FollowedState } from "../../runtime/repository/control/followed-records.ts";
import { readFollowed } from "../../runtime/repository/control/followed-records.ts";
import { readStandbyState, recordHeld } from "../../runtime/repository/control/standby-records.ts";
import { JournalReader } from "../../runtime/repository/journal/journal-reader.ts";
import { JournalWriter } from "../../runtime/repository/journal/journal-writer.ts";
import { planRestore } from "../../runtime/workflows/apply/plan-restore.ts";
import { restore } from "../../runtime/workflows/apply/restore.ts";
import { drainJournal } from "../../runtime/workflows/failover/drain-journal.ts";
import { planFailover } from "../../runtime/workflows/failover/plan-failover.ts";
import { JournalFollower } from "../../runtime/workflows/journal/journal-follower.ts";
import { JournalReplication } from "../../runtime/workflows/journal/journal-replication.ts";
import { planReplay, replay } from "../../runtime/workflows/journal/replay.ts";
import { regionNamed } from "../support/estates/fake-region.ts";
import { silently, systemClock } from "../support/estates/recovery-estate.ts";
import { emptied } from "../support/estates/recovery-practice.ts";
import { StandbyPair } from "../support/estates/standby-pair.ts";
import { codeOf } from "../support/expect-code.ts";
import { RecordedSource } from "../support/journal/recorded-source.ts";
import { SeededWrites, writtenCollections } from "../support/journal/seeded-writes.ts";
import { differencesBetween, toldPoints } from "../support/journal/told-points.ts";

const seeds = Number(process.env["QDRANT_DR_SEEDS"] ?? 1);
const firstSeed = Number(process.env["QDRANT_DR_SEED"] ?? 1);
const writesPerRound = 40;

describe("a standby that follows a journal", function () {
  this.timeout(Math.max(60_000, seeds * 30_000));
  let pair: StandbyPair;

  before(async () => {
    pair = await StandbyPair.start();
  });

  after(async () => pair?.stop());

  beforeEach(async () => pair.empty());

  const fromTheBegin = (): FollowedState => ({
    format: 1,
    at: new Date().toISOString(),
    region: "east",
    epoch: 1,
    recoveryPoint: "none",
    position: beginOfJournal,
    asOf: new Date(0).toISOString(),
    unreconciled: [],
    strictModes: [],
    collections: [],
  });

  const follower = (state: FollowedState) =>
    new JournalFollower(
      {
        reader: new JournalReader(pair.west.repository, "east", pair.wrap),
        target: pair.standby,
        control: pair.west.control,
        refuseUnlessMine: async () => undefined,
        clock: systemClock,
      },
      state,
    );

  async function recordedSource(): Promise<RecordedSource> {
    const { writer } = await JournalWriter.takeOver({
      store: pair.west.repository,
      region: "east",
      writer: "test",
      wrap: pair.wrap,
      clock: systemClock,
    });
    return new RecordedSource(pair.sourceServer, pair.source, writer);
  }

  async function makeCollections(source: RecordedSource): Promise<void> {
    for (const { indexes, name, settings } of writtenCollections) {
      await source.request("PUT", `/collections/${name}`, settings);
      for (const index of indexes) await source.request("PUT", `/collections/${name}/index?wait=true`, index);
      await source.tellCollection(name);
    }
  }

  it(`is equal after ${seeds} rounds of mixed writes, with kills of itself and of the Qdrant that it writes to, and when all is applied again`, async () => {
    for (let seed = firstSeed; seed < firstSeed + seeds; seed += 1) {
      await pair.empty();
      const source = await recordedSource();
      await makeCollections(source);
      const writes = new SeededWrites(seed);
      let following = follower(fromTheBegin());
      for (let n = 0; n < writesPerRound; n += 1) {
        await source.write(writes.next());
        if (n % 4 === 0) await source.flush();
        if (n % 10 === 5) await following.step();
        if (n === 20) {
          await pair.standbyServer.kill();
          await pair.standbyServer.restart();
          // The one that was killed recorded nothing since.
          following = follower((await readFollowed(pair.west.control)) ?? fromTheBegin());
        }
      }
      await source.flush();
      await following.drain();
      expect(await differencesBetween(pair.sourceServer, pair.standbyServer), `seed ${seed}`).to.deep.equal([]);
      expect(following.state.unreconciled).to.deep.equal([]);
      expect(source.refused, "writes that Qdrant refuses").to.be.greaterThan(0);

      await follower(fromTheBegin()).drain();
      expect(await differencesBetween(pair.sourceServer, pair.standbyServer), `seed ${seed} again`).to.deep.equal([]);
    }
    await emptied(pair.standby);
  });

  it("begins from a capture while clients write and Qdrant optimizes, goes on where it was, brings by a capture what the journal does not tell, and serves after a failover", async () => {
    const source = await recordedSource();
    // Before the journal tells of anything.
    await source.request("PUT", "/collections/older", { vectors: { size: 4, distance: "Dot" } });
    await source.request("PUT", "/collections/older/points?wait=true", {
      points: Array.from({ length: 500 }, (_, id) => ({ id, vector: [id, 1, 2, 3], payload: { id } })),
    });
    await makeCollections(source);
    const writes = new SeededWrites(11);
    for (let n = 0; n < 10; n += 1) await source.write(writes.next());
    await source.flush();

    const replication = () =>
      pair.repository().then(
        (repository) =>
          new JournalReplication({
            source: { region: "east", database: pair.source, control: pair.east.control },
            standby: { region: "west", database: pair.standby, repository },
            existing: "refuse",
            toolVersion: "test",
            clock: systemClock,
            progress: silently,
          }),
      );
    const untilAtEnd = async (following: JournalReplication) => {
      const reader = new JournalReader(pair.west.repository, "east", pair.wrap);
      const { number } = await reader.newest();
      while ((await following.follow(new AbortController().signal)).position < number);
    };
    const writing = (async () => {
      for (let n = 0; n < 15; n += 1) {
        await source.write(writes.next());
        await source.flush();
      }
    })();
    const first = await replication();
    await first.follow(new AbortController().signal);
    await writing;
    await untilAtEnd(first);
    expect(await differencesBetween(pair.sourceServer, pair.standbyServer)).to.deep.equal([]);

    // Another process goes on; nobody told the journal of the next write.
    const base = (await readFollowed(pair.west.control))?.recoveryPoint;
    await source.request("POST", "/collections/older/points/delete?wait=true", { points: [1, 2, 3] });
    source.tell({ kind: "unreconciled", at: new Date().toISOString(), collection: "older", reason: "told by nobody" });
    await source.request("POST", "/collections/aliases", {
      actions: [{ create_alias: { alias_name: "current", collection_name: "plain" } }],
    });
    source.tell({
      kind: "aliases",
      at: new Date().toISOString(),
      aliases: [{ alias: "current", collection: "plain" }],
    });
    await source.write(writes.next());
    await source.flush();
    const second = await replication();
    await untilAtEnd(second);
    expect(await differencesBetween(pair.sourceServer, pair.standbyServer)).to.deep.equal([]);
    const followed = await readFollowed(pair.west.control);
    expect(followed).to.deep.include({ recoveryPoint: base, unreconciled: [] });

    // A mistaken delete, and the second before it beside: all that was written since the base is there.
    const wanted = await toldPoints(pair.sourceServer, "plain");
    const before = new Date();
    await systemClock.sleep(2);
    await source.write({ method: "POST", path: "/collections/plain/points/delete?wait=true", body: '{"filter":{}}' });
    await source.flush();
    const stored = await pair.repository();
    const recoveryPoint = await stored.readRecoveryPoint(base ?? "");
    const tools = { repository: stored, target: pair.source, clock: systemClock, progress: silently };
    const planned = await planRestore({ ...tools, recoveryPoint, only: ["plain"], as: "plain_before" });
    const names = new Map([["plain", "plain_before"]]);
    const later = await planReplay({ repository: stored, recoveryPoint, until: before, names });
    await restore({ ...tools, beforeAliases: () => replay(tools, later) }, planned);
    expect(await toldPoints(pair.sourceServer, "plain")).to.have.property("size", 0);
    expect([...(await toldPoints(pair.sourceServer, "plain_before"))].sort()).to.deep.equal([...wanted].sort());
    await pair.source.deleteCollection("plain_before");
    const older = new Date(Date.parse(recoveryPoint.finishedAt) - 1);
    const at = { repository: stored, recoveryPoint, names };
    expect(await codeOf(planReplay({ ...at, until: older }))).to.equal("RECOVERY_POINT_NOT_FOUND");
    expect(await codeOf(planReplay({ ...at, until: new Date(Date.now() + 60_000) }))).to.equal(
      "RECOVERY_POINT_NOT_FOUND",
    );

    // The region is lost with its last writes in the store, and the follower with it.
    for (let n = 0; n < 3; n += 1) await source.write(writes.next());
    await source.flush();
    const repository = await pair.repository();
    const region = regionNamed("west");
    const plan = await planFailover({ region, repository, clock: systemClock });
    if (plan.kind !== "failover") throw new Error(plan.kind);
    expect(plan.serveFrom.followed?.position).to.deep.equal(followed?.position);
    expect(plan.dataLossSeconds).to.be.lessThan(60);
    const request = { clock: systemClock, database: pair.standby, repository };
    await drainJournal(request, plan, plan.serveFrom.followed ?? fromTheBegin());
    expect(await differencesBetween(pair.sourceServer, pair.standbyServer)).to.deep.equal([]);
    expect(await codeOf(second.follow(new AbortController().signal)), "who followed").to.equal("EPOCH_CONFLICT");

    // Replication by captures has brought something else since: the journal does not lead on from that.
    const held = await readStandbyState(pair.west.control, systemClock.now());
    if (held === undefined) throw new Error("it began with a capture");
    await recordHeld(pair.west.control, { ...held, at: new Date().toISOString() });
    const other = await planFailover({ region, repository, clock: systemClock });
    expect(other).to.have.nested.property("serveFrom.isWarm", true);
    expect(other).to.not.have.nested.property("serveFrom.followed");
  });
});
