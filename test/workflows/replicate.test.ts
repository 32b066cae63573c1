/** The standby is the source, cycle by cycle, whatever is done to either. Two real Qdrants. */
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "chai";
import { controlLayout, storeLayout } from "../../runtime/domain/recovery-points/store-layout.ts";
import type { ShardPlacement, VectorDatabase } from "../../runtime/ports/qdrant.ts";
import { readStandbyState, StandbyRecords } from "../../runtime/repository/control/standby-records.ts";
import { captureRecoveryPoint } from "../../runtime/workflows/capture/capture-recovery-point.ts";
import { applyToStandby } from "../../runtime/workflows/replicate/apply-to-standby.ts";
import { enableOptimizers } from "../../runtime/workflows/replicate/enable-optimizers.ts";
import { planStandby } from "../../runtime/workflows/replicate/plan-standby.ts";
import { StatePublisher, StateSubscriber } from "../../runtime/workflows/replicate/publish-states.ts";
import { SourceCapturer } from "../../runtime/workflows/replicate/source-capturer.ts";
import { StandbyApplier } from "../../runtime/workflows/replicate/standby-applier.ts";
import { testRestore } from "../../runtime/workflows/test-restore.ts";
import { silently, systemClock } from "../support/estates/recovery-estate.ts";
import { clientOf, contentOf } from "../support/estates/recovery-practice.ts";
import { StandbyPair } from "../support/estates/standby-pair.ts";
import { codeOf } from "../support/expect-code.ts";
import { seeded } from "../support/seeded.ts";
import { clockShowing } from "../support/time/clock-showing.ts";

const notes = "notes";
const slow = "slow";
const settings = {
  vectors: { size: 4, distance: "Euclid" },
  shard_number: 2,
  wal_config: { wal_capacity_mb: 1 },
  optimizers_config: { flush_interval_sec: 1, default_segment_number: 1 },
} as const;

function points(from: number, count: number, tag: string) {
  return Array.from({ length: count }, (_, n) => ({
    id: from + n,
    payload: { tag, group: n % 5 },
    vector: [from + n, n, tag.length, 1],
  }));
}

describe("replication to a standby", function () {
  this.timeout(120_000);
  let pair: StandbyPair;

  before(async () => {
    pair = await StandbyPair.start();
  });

  after(async () => pair?.stop());

  beforeEach("a source with one collection", async () => {
    await pair.empty();
    await pair.client.createCollection(notes, settings);
    await pair.client.upsert(notes, { wait: true, points: points(1, 400, "first") });
    await pair.untilQuiet(notes);
  });

  const upsert = (from: number, count: number, tag: string) =>
    pair.client.upsert(notes, { wait: true, points: points(from, count, tag) });
  const remove = (from: number, count: number) =>
    pair.client.delete(notes, { wait: true, points: points(from, count, "").map(({ id }) => id) });

  it("carries writes, deletes, indexes and aliases, as differences where it can, and commits nothing when nothing changed", async () => {
    const replication = await pair.replication();
    const first = await replication.cycle();
    expect(first).to.include({ isExact: true, isChanged: true });
    expect(first.shards).to.deep.equal({ kept: 0, difference: 0, whole: 2 });
    expect(await pair.differences(notes)).to.deep.equal([]);

    const objects = pair.west.repository.objects.size;
    const idle = await replication.cycle();
    expect(idle).to.include({ isChanged: false, recoveryPoint: first.recoveryPoint, sentBytes: 0 });
    expect(Date.parse(idle.asOf)).to.be.greaterThan(Date.parse(first.asOf));
    expect(pair.west.repository.objects.size, "objects in the bucket").to.equal(objects);

    const changes: [string, () => Promise<unknown>][] = [
      ["added", () => upsert(1_000, 50, "added")],
      ["overwritten", () => upsert(100, 50, "overwritten")],
      ["deleted", () => remove(120, 60)],
      ["payload", () => pair.client.setPayload(notes, { wait: true, points: [1, 2, 3], payload: { seen: true } })],
      ["deleted and written again", () => remove(1, 20).then(() => upsert(1, 20, "again"))],
    ];
    for (const [what, change] of changes) {
      await change();
      await pair.untilQuiet(notes);
      const cycle = await replication.cycle();
      expect(cycle, what).to.include({ isChanged: true, isExact: true });
      expect(cycle.shards.whole, `${what}: shards restored whole`).to.equal(0);
      expect(await pair.differences(notes), what).to.deep.equal([]);
    }

    await pair.client.createPayloadIndex(notes, { field_name: "group", field_schema: "integer", wait: true });
    await pair.client.updateCollectionAliases({
      actions: [{ create_alias: { alias_name: "current", collection_name: notes } }],
    });
    await pair.untilQuiet(notes);
    await replication.cycle();
    expect(await pair.differences(notes)).to.deep.equal([]);
    expect(await pair.standby.aliases()).to.deep.equal([{ alias: "current", collection: notes }]);
    await pair.client.updateCollectionAliases({ actions: [{ delete_alias: { alias_name: "current" } }] });
    await pair.client.deletePayloadIndex(notes, "group", { wait: true });
    await replication.cycle();
    expect(await pair.differences(notes)).to.deep.equal([]);
    expect(await pair.standby.aliases()).to.deep.equal([]);
  });

  it("holds a standby still that takes writes as its source did once it is awake", async () => {
    const replication = await pair.replication();
    await replication.cycle();
    await upsert(200, 50, "changed");
    const { recoveryPoint: id } = await replication.cycle();
    const repository = await pair.repository();
    const recoveryPoint = await repository.readRecoveryPoint(id);
    const target = { repository, region: "west", target: pair.standby } as const;
    const request = { ...target, recoveryPoint, existing: "refuse", compare: "all" } as const;
    const plan = await planStandby({ ...request, clock: systemClock });
    expect(plan.collections.flatMap(({ shards }) => shards.map((shard) => shard.action))).to.deep.equal([
      "keep",
      "keep",
    ]);
    const report = await applyToStandby({ ...request, clock: systemClock, progress: silently });
    expect(report.shards).to.deep.equal({ kept: 2, difference: 0, whole: 0 });
    expect(report.samples).to.be.greaterThan(0);

    await pair.standbyServer.kill();
    await pair.standbyServer.restart();
    await enableOptimizers({ recoveryPoint, repository, target: pair.standby });
    const client = clientOf(pair.standbyServer);
    await client.upsert(notes, { wait: true, points: points(1, 100, "promoted") });
    await client.delete(notes, { wait: true, points: [150, 151, 152] });
    const written = await contentOf(pair.standby, notes);
    await pair.standbyServer.kill();
    await pair.standbyServer.restart();
    expect(await contentOf(pair.standby, notes)).to.deep.equal(written);
    expect(written).to.have.lengthOf(397);
    expect(written.filter(({ payload }) => (payload as { tag: string }).tag === "promoted")).to.have.lengthOf(100);
  });

  it("makes and replaces collections, and drops them a day late", async () => {
    let ahead = 0;
    const clock = clockShowing(() => new Date(Date.now() + ahead));
    const replication = await pair.replication({ clock });
    await replication.cycle();

    await pair.client.createCollection("other", { ...settings, shard_number: 1 });
    await pair.client.upsert("other", { wait: true, points: points(1, 30, "other") });
    await replication.cycle();
    expect(await pair.differences("other")).to.deep.equal([]);

    // Another size under the same name: a difference of it would destroy the standby's copy.
    await pair.client.deleteCollection("other");
    await pair.client.createCollection("other", {
      ...settings,
      shard_number: 1,
      vectors: { size: 2, distance: "Dot" },
    });
    await pair.client.upsert("other", { wait: true, points: [{ id: 7, payload: {}, vector: [1, 2] }] });
    await replication.cycle();
    expect(await pair.differences("other")).to.deep.equal([]);

    await pair.client.deleteCollection("other");
    await replication.cycle();
    expect(await pair.standby.collections()).to.deep.equal([notes, "other"]);
    ahead = 25 * 60 * 60_000;
    await replication.cycle();
    expect(await pair.standby.collections()).to.deep.equal([notes]);
  });

  it("brings the source's own past: recreated with the same settings, restored, rolled back", async () => {
    const replication = await pair.replication();
    await replication.cycle();
    const snapshot = await pair.client.createSnapshot(notes, { wait: true });
    await upsert(100, 30, "later");
    await replication.cycle();
    await pair.client.recoverSnapshot(notes, {
      location: `file://${pair.sourceServer.folder}/snapshots/${notes}/${snapshot?.name}`,
      priority: "snapshot",
    });
    await upsert(200, 30, "another future");
    await pair.untilQuiet(notes);
    await replication.cycle("exact");
    expect(await pair.differences(notes)).to.deep.equal([]);

    await pair.client.deleteCollection(notes);
    await pair.client.createCollection(notes, settings);
    await upsert(1, 40, "recreated");
    await pair.untilQuiet(notes);
    await replication.cycle("exact");
    expect(await pair.differences(notes)).to.deep.equal([]);
  });

  it("reads and sends nothing again after test restores in either region's Qdrant, also when it is started anew", async () => {
    const replication = await pair.replication();
    const { recoveryPoint: replicated } = await replication.cycle();
    const [east, west] = [await pair.repository(pair.east), await pair.repository()];
    const told = { clock: systemClock, progress: silently };
    const source = { region: "east", type: "full", database: pair.source, repository: east } as const;
    const { recoveryPoint: captured } = await captureRecoveryPoint({ ...source, ...told, toolVersion: "test" });
    for (const [repository, id, target] of [
      [east, captured, pair.source],
      [west, replicated, pair.standby],
    ] as const) {
      const recoveryPoint = await repository.readRecoveryPoint(id);
      await testRestore({
        repository,
        region: "east",
        recoveryPoint,
        target,
        runner: { mark: "a test", isDead: () => true },
        ...told,
      });
    }
    for (const each of [async () => replication, () => pair.replication()]) {
      const cycle = await (await each()).cycle();
      expect(cycle).to.include({ readBytes: 0, sentBytes: 0, isChanged: false });
      expect(cycle.shards).to.deep.equal({ kept: 2, difference: 0, whole: 0 });
    }
    expect(await pair.differences(notes)).to.deep.equal([]);
  });

  it("heals a standby that was written to, restored into, lost a collection, or began to optimize", async () => {
    const replication = await pair.replication();
    await replication.cycle();
    const client = clientOf(pair.standbyServer);
    const snapshot = await client.createSnapshot(notes, { wait: true });
    const location = `file://${pair.standbyServer.folder}/snapshots/${notes}/${snapshot?.name}`;
    const strange: [string, () => Promise<unknown>][] = [
      ["a write", () => client.upsert(notes, { wait: true, points: points(1, 30, "strange") })],
      ["a delete", () => client.delete(notes, { wait: true, points: [1, 2, 3] })],
      ["its own snapshot", () => client.recoverSnapshot(notes, { location, priority: "snapshot" })],
      ["a collection dropped", () => client.deleteCollection(notes)],
      ["an index", () => client.createPayloadIndex(notes, { field_name: "tag", field_schema: "keyword", wait: true })],
      ["optimizers", () => pair.standby.setOptimizationThreads(notes, "auto")],
    ];
    for (const [what, act] of strange) {
      await act();
      // The very batch on both sides: versions grow alike, and contents do not.
      await upsert(300, 30, what);
      await pair.untilQuiet(notes);
      await replication.cycle("exact");
      expect(await pair.differences(notes), what).to.deep.equal([]);
    }
  });

  it("goes on when the standby is killed in an apply or between cycles, and when it is killed itself", async () => {
    await (await pair.replication()).cycle();
    for (const moment of ["before", "after"] as const) {
      await upsert(100, 40, `killed ${moment}`);
      await pair.untilQuiet(notes);
      const dying = await pair.replication({ standby: killedIn(pair, moment) });
      expect(await codeOf(dying.cycle("exact")), moment).to.equal("UNREACHABLE");
      await pair.standbyServer.restart();
      // Neither this replication nor the record of it is there any more.
      await (await pair.replication()).cycle("exact");
      expect(await pair.differences(notes), moment).to.deep.equal([]);
    }
    await pair.standbyServer.kill();
    await pair.standbyServer.restart();
    const { shards } = await (await pair.replication()).cycle("exact");
    expect(shards, "a restart alone").to.deep.equal({ kept: 2, difference: 0, whole: 0 });
  });

  it("leaves the standby as it is when the source is down, and goes on afterwards", async () => {
    const replication = await pair.replication();
    await replication.cycle();
    const before = await contentOf(pair.standby, notes);
    await pair.sourceServer.kill();
    expect(await codeOf(replication.cycle())).to.equal("UNREACHABLE");
    expect(await contentOf(pair.standby, notes)).to.deep.equal(before);
    await pair.sourceServer.restart();
    await upsert(50, 20, "back");
    await replication.cycle("exact");
    expect(await pair.differences(notes)).to.deep.equal([]);
  });

  it("stops when another run takes over, also in the middle of an apply, and when the source is not the active region", async () => {
    const first = await pair.replication();
    await first.cycle();
    const second = await pair.replication();
    await second.cycle();
    await upsert(1, 10, "whose");
    expect(await codeOf(first.cycle())).to.equal("EPOCH_CONFLICT");

    let overtaken: Promise<unknown> | undefined;
    const racing = withApply(pair.standby, async (apply, archive) => {
      const third = await pair.replication();
      overtaken = third.cycle("exact");
      await overtaken;
      return apply(archive);
    });
    await upsert(20, 10, "race");
    const code = await codeOf((await pair.replication({ standby: racing })).cycle("exact"));
    expect(code).to.equal("EPOCH_CONFLICT");
    await overtaken;
    expect(await pair.differences(notes)).to.deep.equal([]);

    const deposed = {
      epoch: 2,
      active: "west",
      previous: "east",
      reason: "failover",
      run: "r",
      at: new Date().toISOString(),
    };
    pair.west.control.objects.set("epochs/0000000002.json", Buffer.from(JSON.stringify(deposed)));
    expect(await codeOf((await pair.replication()).cycle())).to.equal("ROLE_REFUSES");
  });

  it("deletes and moves nothing after another run took over", async () => {
    const calls: string[] = [];
    /** Another run takes over in the call of this number. */
    const overtakenIn = async (method: string, number: number, clock = systemClock) => {
      calls.length = 0;
      let call = 0;
      let isOvertaken = false;
      const standby = new Proxy(pair.standby, {
        get(target, name) {
          const member: unknown = Reflect.get(target, name);
          if (typeof member !== "function") return member;
          return (...parameters: unknown[]) => {
            if (isOvertaken && /^(delete|create)/.test(String(name))) calls.push(String(name));
            const answer: unknown = member.apply(target, parameters);
            if (name !== method || ++call !== number) return answer;
            const at = new Date().toISOString();
            const taking = new StandbyRecords(pair.west.control, "failover").takeTurn({ at, failover: 2 });
            return taking.then(() => {
              isOvertaken = true;
              return answer;
            });
          };
        },
      });
      const code = await codeOf((await pair.replication({ standby, clock })).cycle("exact"));
      return isOvertaken ? code : `${code}, and not overtaken`;
    };
    await pair.client.createCollection("dropped", settings);
    await (await pair.replication()).cycle();
    await pair.client.updateCollectionAliases({
      actions: [{ create_alias: { alias_name: "current", collection_name: notes } }],
    });
    await upsert(1, 10, "changed");
    expect(await overtakenIn("count", 1), "while it is compared").to.equal("EPOCH_CONFLICT");
    expect(calls).to.deep.equal([]);

    await clientOf(pair.standbyServer).updateCollection(notes, { hnsw_config: { m: 24 } });
    expect(await overtakenIn("aliases", 1), "before what was replaced").to.equal("EPOCH_CONFLICT");
    expect(calls).to.deep.equal([]);

    await pair.client.deleteCollection("dropped");
    await (await pair.replication()).cycle();
    const tomorrow = clockShowing(() => new Date(Date.now() + 25 * 60 * 60_000));
    expect(await overtakenIn("aliases", 1, tomorrow), "before what was dropped").to.equal("EPOCH_CONFLICT");
    expect(calls).to.deep.equal([]);
    expect(await pair.standby.collections()).to.include("dropped");
  });

  it("goes on when the bucket lost the tree that a difference would be made from", async () => {
    const repository = await pair.repository();
    const request = { repository, progress: silently, existing: "refuse", toolVersion: "test" } as const;
    const source = { region: "east", database: pair.source, control: pair.east.control };
    const capturing = new SourceCapturer({ ...request, clock: systemClock, source });
    const applying = new StandbyApplier({ ...request, clock: systemClock, region: "west", database: pair.standby });
    await applying.apply(await capturing.capture("exact"));
    await upsert(1, 400, "changed");
    await pair.untilQuiet(notes);
    const changed = await capturing.capture("exact");
    const held = (await readStandbyState(pair.west.control, new Date()))?.collections ?? [];
    const trees = held.flatMap(({ shards }) => shards).map(({ tree }) => storeLayout.tree(tree));
    for (const tree of trees) expect(pair.west.repository.objects.delete(tree), tree).to.equal(true);
    expect((await applying.apply(changed)).shards).to.deep.equal({ kept: 0, difference: 0, whole: 2 });
    expect(await pair.differences(notes)).to.deep.equal([]);
  });

  it("when it is back after another run, applies what is newer than what that one brought, also when the source's clock is slow, and nothing older", async () => {
    const slowClock = clockShowing(() => new Date(Date.now() - 10 * 60_000));
    const repository = await pair.repository();
    const request = { repository, progress: silently, existing: "refuse", toolVersion: "test" } as const;
    const source = { region: "east", database: pair.source, control: pair.east.control };
    const capturing = new SourceCapturer({ ...request, clock: slowClock, source });
    const standby = { ...request, clock: systemClock, region: "west", database: pair.standby };
    const [applying, another] = [new StandbyApplier(standby), new StandbyApplier(standby)];
    const older = await capturing.capture("exact");
    await applying.apply(older);
    await upsert(1, 10, "brought by another");
    await another.apply(await capturing.capture("exact"));
    // Of a failover that is given up: nobody waits for it.
    await new StandbyRecords(pair.west.control, "failover").takeTurn({ at: new Date().toISOString(), failover: 2 });
    expect(await codeOf(applying.apply(older)), "overtaken").to.equal("EPOCH_CONFLICT");
    expect(await codeOf(applying.apply(older)), "older").to.equal("EPOCH_CONFLICT");
    expect(await pair.differences(notes)).to.deep.equal([]);
    await upsert(1, 10, "newer");
    await applying.apply(await capturing.capture("exact"));
    expect(await pair.differences(notes)).to.deep.equal([]);
  });

  it("takes a damaged record of a turn for another run's, and whoever is started next goes on", async () => {
    const first = await pair.replication();
    await first.cycle();
    pair.west.control.objects.set(controlLayout.standbyTurn(2), Buffer.from("{"));
    await upsert(1, 10, "damaged");
    for (const again of ["at once", "again"]) {
      expect(await codeOf(first.cycle("exact")), again).to.equal("EPOCH_CONFLICT");
    }
    await (await pair.replication()).cycle("exact");
    expect(await pair.differences(notes)).to.deep.equal([]);
  });

  it("never replaces what it did not make, unless it is told to", async () => {
    const client = clientOf(pair.standbyServer);
    await client.createCollection(notes, settings);
    await client.upsert(notes, { wait: true, points: points(9_000, 5, "somebody's") });
    expect(await codeOf((await pair.replication()).cycle())).to.equal("TARGET_NOT_EMPTY");
    expect(await pair.standby.count(notes)).to.equal(5);
    await (await pair.replication({ existing: "replace" })).cycle();
    expect(await pair.differences(notes)).to.deep.equal([]);
  });

  it("tells what the standby holds to whoever reads its control store", async () => {
    expect(await readStandbyState(pair.west.control, new Date())).to.equal(undefined);
    const replication = await pair.replication();
    const { asOf, recoveryPoint } = await replication.cycle();
    const state = await readStandbyState(pair.west.control, new Date());
    expect(state).to.include({ recoveryPoint, asOf, exactAsOf: asOf, isExact: true, region: "east", epoch: 1 });
    const later = new Date(Date.now() + 72 * 60 * 60_000);
    expect((await readStandbyState(pair.west.control, later))?.recoveryPoint).to.equal(recoveryPoint);
  });

  it("works as two processes that share the standby's stores alone; a second one that captures stops the first", async () => {
    const halves = async () => {
      const repository = await pair.repository();
      const request = {
        repository,
        clock: systemClock,
        progress: silently,
        existing: "refuse",
        toolVersion: "test",
      } as const;
      const source = { region: "east", database: pair.source, control: pair.east.control };
      return {
        capturing: new SourceCapturer({ ...request, source }),
        telling: new StatePublisher(repository, systemClock),
        hearing: new StateSubscriber(repository, "west", systemClock),
        applying: new StandbyApplier({ ...request, region: "west", database: pair.standby }),
      };
    };
    const never = new AbortController().signal;
    const first = await halves();
    for (const tag of ["one", "two", "three"]) {
      await upsert(100, 20, tag);
      await pair.untilQuiet(notes);
      await first.telling.publish(await first.capturing.capture("exact"));
      const report = await first.applying.apply(await first.hearing.next(never));
      expect(report).to.include({ isExact: true, isChanged: true });
      expect(await pair.differences(notes), tag).to.deep.equal([]);
    }
    // Both are started anew, and the one that captured before does not know it.
    const second = await halves();
    await upsert(150, 20, "four");
    await pair.untilQuiet(notes);
    await second.telling.publish(await second.capturing.capture("exact"));
    await second.applying.apply(await second.hearing.next(never));
    expect(await pair.differences(notes)).to.deep.equal([]);
    await upsert(1, 1, "five");
    const late = await first.capturing.capture("provisional");
    expect(await codeOf(first.telling.publish(late))).to.equal("EPOCH_CONFLICT");
    expect(await codeOf(first.applying.apply(late))).to.equal("EPOCH_CONFLICT");
    expect(await codeOf(new StateSubscriber(await pair.repository(), "east", systemClock).next(never))).to.equal(
      "ROLE_REFUSES",
    );
  });

  it("reads and compares everything once a day, also when it was started anew since", async () => {
    let ahead = 0;
    const clock = clockShowing(() => new Date(Date.now() + ahead));
    const typeOf = async ({ recoveryPoint }: { readonly recoveryPoint: string }) =>
      (await (await pair.repository()).readRecoveryPoint(recoveryPoint)).type;
    expect(await typeOf(await (await pair.replication({ clock })).cycle())).to.equal("full");
    await upsert(1, 5, "later");
    const again = await pair.replication({ clock });
    expect(await typeOf(await again.cycle())).to.equal("incremental");
    ahead = 23 * 60 * 60_000;
    await upsert(1, 5, "nearly a day later");
    expect(await typeOf(await (await pair.replication({ clock })).cycle())).to.equal("incremental");
    ahead = 25 * 60 * 60_000;
    expect(await typeOf(await (await pair.replication({ clock })).cycle())).to.equal("full");
    await upsert(1, 5, "after it");
    expect(await typeOf(await (await pair.replication({ clock })).cycle())).to.equal("incremental");
  });

  it("calls a state provisional while an optimization runs, and the next one exact after it", async () => {
    const replication = await pair.replication();
    const { ended } = await indexedSlowly(pair);
    const during = await replication.cycle();
    expect(during.isExact).to.equal(false);
    expect((await readStandbyState(pair.west.control, new Date()))?.isExact).to.equal(false);
    await ended;
    const after = await replication.cycle();
    expect(after).to.include({ isExact: true, isChanged: true });
    expect(await pair.differences(slow)).to.deep.equal([]);
  });
});

type Apply = (archive: AsyncIterable<Uint8Array>) => Promise<void>;

/** The standby's Qdrant, with something done around each apply. */
function withApply(
  database: VectorDatabase,
  around: (apply: Apply, archive: AsyncIterable<Uint8Array>) => Promise<void>,
): VectorDatabase {
  return new Proxy(database, {
    get(target, name) {
      const member = Reflect.get(target, name);
      if (name !== "applyDifference" && name !== "restoreShard") {
        return typeof member === "function" ? member.bind(target) : member;
      }
      return (collection: string, shard: ShardPlacement, archive: AsyncIterable<Uint8Array>) =>
        around((passed) => member.call(target, collection, shard, passed), archive);
    },
  });
}

function killedIn(pair: StandbyPair, moment: "before" | "after"): VectorDatabase {
  return withApply(pair.standby, async (apply, archive) => {
    if (moment === "after") await apply(archive);
    await pair.standbyServer.kill();
    await apply(archive);
  });
}

/** Begins a build of an index that takes a while, and deletes while it runs; answers when it has ended. */
async function indexedSlowly(pair: StandbyPair): Promise<{ readonly ended: Promise<void> }> {
  const { client, source } = pair;
  await client.createCollection(slow, {
    vectors: { size: 64, distance: "Euclid" },
    wal_config: { wal_capacity_mb: 1 },
    hnsw_config: { m: 32, ef_construct: 2_000, max_indexing_threads: 1 },
    optimizers_config: { default_segment_number: 1, indexing_threshold: 0, flush_interval_sec: 1 },
  });
  const random = seeded(7);
  const many = Array.from({ length: 6_000 }, (_, id) => ({ id, vector: Array.from({ length: 64 }, random) }));
  for (let from = 0; from < many.length; from += 1_000) {
    await client.upsert(slow, { wait: true, points: many.slice(from, from + 1_000) });
  }
  await client.updateCollection(slow, { optimizers_config: { indexing_threshold: 1 } });
  const [shard] = await source.shards(slow);
  if (shard === undefined) throw new Error("no shard");
  while (((await source.optimizations(slow, shard))?.running ?? 0) === 0) await sleep(5);
  await client.delete(slow, { wait: true, points: many.slice(0, 100).map(({ id }) => id) });
  return { ended: pair.untilQuiet(slow) };
}
