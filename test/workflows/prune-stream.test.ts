/**
 * The stream of replication: what is deleted of it, what never is, and how the history is chosen from it. Stores in memory, real captures
 * of a folder; time is simulated.
 */
import { expect } from "chai";
import { controlLayout, storeLayout } from "../../runtime/domain/recovery-points/store-layout.ts";
import type { Clock } from "../../runtime/ports/clock.ts";
import type { KeyWrap } from "../../runtime/ports/key-wrap.ts";
import type { PrunableStore } from "../../runtime/ports/prunable-store.ts";
import { OpenRepository } from "../../runtime/repository/repository.ts";
import { CaptureMemory } from "../../runtime/workflows/capture/capture-memory.ts";
import { followStream } from "../../runtime/workflows/prune/follow-stream.ts";
import { type StreamPruneReport, StreamPruner } from "../../runtime/workflows/prune/prune-stream.ts";
import { HistoryKeeper } from "../../runtime/workflows/replicate/history-keeper.ts";
import { dayMs, hourMs, PrunedRegion, type PrunedStores, TestTime } from "../support/estates/pruned-region.ts";
import { ageKeys, silently } from "../support/estates/recovery-estate.ts";
import { codeOf } from "../support/expect-code.ts";
import { Faults } from "../support/faults/faulty-store.ts";
import { clockShowing } from "../support/time/clock-showing.ts";

const minuteMs = 60_000;

describe("the stream", function () {
  this.timeout(60_000);
  let wrap: KeyWrap;
  let region: PrunedRegion;
  let memory: CaptureMemory;

  before(async () => {
    ({ wrap } = await ageKeys());
  });

  beforeEach(() => {
    region = new PrunedRegion(wrap, new TestTime());
    region.write("base", "stays");
    memory = new CaptureMemory();
  });

  async function pruner(stores: PrunedStores = region.stores, clock: Clock = region.time): Promise<StreamPruner> {
    const repository = await region.open(stores);
    return new StreamPruner({ repository, prunable: stores.prunable, clock, progress: silently });
  }

  const prune = async (...given: Parameters<typeof pruner>): Promise<StreamPruneReport> =>
    (await pruner(...given)).round();

  async function capture(more: Parameters<PrunedRegion["capture"]>[0] = {}): Promise<string> {
    region.write("changing", `state ${region.time.now().toISOString()}`, 100_000);
    return region.capture({ memory, isOfStream: true, ...more });
  }

  async function captures(count: number, everyMs: number): Promise<string[]> {
    const ids: string[] = [];
    for (let n = 0; n < count; n += 1) {
      ids.push(await capture());
      region.time.pass(everyMs);
    }
    return ids;
  }

  const whole = async () => (await region.verified({ isOfStream: true })).map(({ id }) => id);
  const inStream = (folder: string) => region.keys(storeLayout.inStream(folder));

  it("is looked at until somebody interrupts: before there is a repository, and after a look that failed", async () => {
    const stopping = new AbortController();
    const at = new Map<number, "before">();
    const faults = new Faults({ at });
    const stores = region.through(faults);
    const said: string[] = [];
    let looks = 0;
    const clock: Clock = {
      now: region.time.now,
      monotonic: () => region.time.monotonic(),
      sleep: async (ms) => {
        region.time.pass(ms);
        looks += 1;
        // The first look finds no repository, and the fourth one a store that does not answer.
        await captures(2, 20 * minuteMs);
        if (looks === 3) at.set(faults.calls + 1, "before");
        if (looks === 8) stopping.abort();
      },
    };
    const last = await followStream(
      {
        open: () => OpenRepository.open(stores, wrap),
        prunable: stores.prunable,
        clock,
        progress: ({ detail }) => said.push(detail ?? ""),
      },
      stopping.signal,
    );
    expect(looks).to.equal(8);
    expect(said.filter((detail) => detail.includes("it is tried again"))).to.have.length(1);
    expect(last?.states).to.be.within(3, 6);
    expect(inStream(storeLayout.recoveryPoints).length, "and what was captured since").to.equal(
      (last?.states ?? 0) + 2,
    );
  });

  it("holds an hour and a little more, every state of it whole, and nothing that no state needs", async () => {
    const loop = await pruner();
    for (let n = 0; n < 30; n += 1) {
      await captures(5, 2 * minuteMs);
      const { states } = await loop.round();
      expect(states).to.be.below(42);
      if (n % 10 === 9) expect((await whole()).length).to.equal(states);
    }
    // What the states of an hour ago changed is gone with them, and the base that all share is there.
    expect(inStream("packs/").length).to.be.below(100);
    expect(inStream("sessions/").length).to.be.below(42);
    expect(region.keys("packs/")).to.deep.equal([]);
  });

  it("killed at every call it makes to a store, and run again, it completes, and every state that is listed is whole", async () => {
    await captures(24, 6 * minuteMs);
    const atStart = region.state();
    const clean = new Faults();
    await prune(region.through(clean));
    const wanted = region.keys();
    expect(inStream("recovery-points/").length).to.be.below(20);
    for (let killAt = 1; killAt <= clean.calls; killAt += Math.ceil(clean.calls / 40)) {
      region.rewind(atStart);
      expect(await codeOf(prune(region.through(new Faults({ killAt }))))).to.equal("UNREACHABLE");
      const listed = inStream("recovery-points/").length;
      if (killAt % 4 === 0) expect((await whole()).length, `after a kill at ${killAt}`).to.equal(listed);
      await prune();
      expect(region.keys(), `after a kill at ${killAt}`).to.deep.equal(wanted);
    }
  });

  it("keeps the newest states, however old they are, and what is held", async () => {
    const ids = await captures(30, minuteMs);
    const at = region.time.now().toISOString();
    const restore = { id: "x", recoveryPoint: ids[2], collections: [], run: "r", at };
    region.controlStore.objects.set(controlLayout.restore("x"), Buffer.from(JSON.stringify(restore)));
    region.time.pass(3 * dayMs);
    const { states } = await prune();
    expect(states).to.equal(4);
    expect(await whole()).to.include.members([...ids.slice(-3), ids[2]]);
  });

  it("counts as deleted what is gone, and asks for what the store keeps once a day", async () => {
    await captures(24, 6 * minuteMs);
    const { prunable } = region.stores;
    let isLocked = true;
    const asked: string[] = [];
    const locking: PrunableStore = {
      delete: async (keys) => {
        asked.push(...keys);
        if (!isLocked) return prunable.delete(keys);
        const [free, ...locked] = keys;
        return [
          ...(await prunable.delete(free === undefined ? [] : [free])),
          ...locked.map((key) => ({ key, reason: "a lock of a day" })),
        ];
      },
    };
    const before = new Set(region.keys());
    const listed = inStream(storeLayout.recoveryPoints).length;
    const loop = await pruner({ ...region.stores, prunable: locking });
    const first = await loop.round();
    const gone = [...before].filter((key) => !region.keys().includes(key));
    const isContent = (key: string) => /^stream\/(packs|trees|facts)\//.test(key);
    expect(first).to.include({ states: listed - 1, deletedStates: 1, deletedObjects: gone.filter(isContent).length });
    expect(first.deletedObjects).to.be.within(1, 3);
    expect(asked.length).to.be.greaterThan(gone.length);
    const askedFirst = asked.splice(0).length;
    expect((await loop.round()).deletedStates).to.equal(0);
    expect(asked).to.deep.equal([]);
    isLocked = false;
    region.time.pass(dayMs);
    const last = await loop.round();
    expect(last.deletedStates).to.be.greaterThan(1);
    expect(asked.length).to.be.at.least(askedFirst - gone.length);
    expect(last.states).to.equal(inStream(storeLayout.recoveryPoints).length);
  });

  it("is not emptied by a clock that is ahead, nor by a listing that comes short", async () => {
    const ids = await captures(40, minuteMs);
    await prune(
      region.stores,
      clockShowing(() => new Date(region.time.now().getTime() + 10 * minuteMs)),
    );
    expect((await whole()).length).to.equal(40);
    await prune(
      region.stores,
      clockShowing(() => new Date(region.time.now().getTime() + 30 * dayMs)),
    );
    expect(await whole()).to.include.members(ids.slice(-3));

    const loop = await pruner();
    await loop.round();
    for (const key of inStream("recovery-points/")) region.repositoryStore.objects.delete(key);
    const packs = inStream("packs/").length;
    expect(await codeOf(loop.round())).to.equal("PRUNE_REFUSED");
    expect((await loop.round()).deletedObjects).to.equal(0);
    expect(inStream("packs/").length).to.equal(packs);
  });

  it("spares what a capture stores for hours, and a run that was away for long looks anew before it builds", async () => {
    await captures(3, minuteMs);
    const away = new CaptureMemory();
    await capture({ memory: away });
    await captures(3, minuteMs);
    const slow = await capture({
      meanwhile: async () => {
        // It gives signs of life all the time: here, those of the session's own plan.
        for (let n = 0; n < 5; n += 1) {
          region.time.pass(10 * minuteMs);
          await prune();
        }
      },
    });
    expect(await whole()).to.include(slow);
    for (let n = 0; n < 20; n += 1) {
      await captures(1, 10 * minuteMs);
      await prune();
    }
    const back = await capture({ memory: away });
    expect(await whole()).to.include(back);
  });

  it("tells a run that was frozen for hours that what it builds on is gone, and never calls its state whole", async () => {
    await captures(3, minuteMs);
    const frozen = new CaptureMemory();
    await capture({ memory: frozen });
    const code = await codeOf(
      capture({
        memory: frozen,
        meanwhile: async () => {
          for (let n = 0; n < 20; n += 1) {
            region.write("base", `another ${n}`);
            await captures(1, 10 * minuteMs);
            await prune();
          }
          region.write("base", "stays");
        },
      }),
    );
    const listed = inStream("recovery-points/").length;
    expect(code).to.be.oneOf([undefined, "CAPTURE_INCOMPLETE", "OBJECT_NOT_FOUND"]);
    // Each that is called complete was read to its last byte.
    expect((await whole()).length).to.be.within(listed - 1, listed);
  });

  it("deletes no pack while a state that is kept cannot be read, and goes on when that is an hour old", async () => {
    const ids = await captures(40, 4 * minuteMs);
    const key = storeLayout.inStream(storeLayout.manifest(ids.at(-1) ?? ""));
    const bytes = region.repositoryStore.objects.get(key);
    bytes?.fill(0, 40, 60);
    const { deletedObjects, deletedStates } = await prune();
    expect(deletedObjects).to.equal(0);
    expect(deletedStates).to.be.greaterThan(10);
    await captures(20, 4 * minuteMs);
    expect((await prune()).deletedObjects).to.be.greaterThan(10);
  });

  describe("and the history that is chosen from it", () => {
    const keeper = async (stores: PrunedStores = region.stores) =>
      new HistoryKeeper({
        repository: (await region.open(stores)).withStream(),
        kinds: ["config"],
        clock: region.time,
        progress: silently,
      });

    async function state(id: string) {
      return (await region.open()).withStream().readRecoveryPoint(id);
    }

    it("has one recovery point of each quarter of an hour, whole when the stream is gone", async () => {
      const keeping = await keeper();
      for (let n = 0; n < 60; n += 1) {
        const kept = await keeping.keep(await state(await capture()));
        if (kept !== undefined) memory.standsFor(kept, region.time.now());
        region.time.pass(minuteMs);
      }
      for (const key of region.keys(storeLayout.stream)) region.repositoryStore.objects.delete(key);
      const history = await region.verified();
      expect(history.length).to.be.within(4, 5);
      // In few packs, however many captures of the stream stored them.
      expect(region.keys("packs/").length).to.be.at.most(2 * history.length);
    });

    it("killed at every call, and run again, keeps one recovery point of the slot, whole", async () => {
      const id = await capture();
      const atStart = region.state();
      const clean = new Faults();
      await (await keeper(region.through(clean))).keep(await state(id));
      for (let killAt = 1; killAt <= clean.calls; killAt += 1) {
        region.rewind(atStart);
        const faults = new Faults({ killAt });
        const killed = await codeOf(keeper(region.through(faults)).then(async (each) => each.keep(await state(id))));
        expect(killed).to.be.oneOf(["UNREACHABLE", undefined]);
        await (await keeper()).keep(await state(id));
        expect((await region.verified()).length, `after a kill at ${killAt}`).to.be.within(1, 2);
      }
    });

    it("is not pruned of what a state of the stream names", async () => {
      const keeping = await keeper();
      await keeping.keep(await state(await capture()));
      region.time.pass(30 * minuteMs);
      // It names packs of the history, and a newer history does not need them.
      const late = await capture({ memory: new CaptureMemory() });
      region.write("base", "another");
      region.time.pass(minuteMs);
      for (let day = 0; day < 3; day += 1) {
        await region.capture({ type: "full" });
        await region.prune({ retention: { days: 1, fourHourlyDays: 1, atLeast: 1 } });
        region.time.pass(dayMs + hourMs);
      }
      expect(await whole()).to.include(late);
    });
  });
});
