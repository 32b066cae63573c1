/**
 * Locks of recovery points: at every moment all that a recovery point needs which retention wants is locked at least until it is not wanted
 * any more, whatever is captured, quarantined, kept and pruned; kills between a lock and the commit; copies, heals, and a real S3 server.
 */
import { expect } from "chai";
import { storeLayout } from "../../runtime/domain/recovery-points/store-layout.ts";
import type { KeyWrap } from "../../runtime/ports/key-wrap.ts";
import { attest } from "../../runtime/repository/catalog/attest.ts";
import { objectsNeeded } from "../../runtime/repository/content/objects-needed.ts";
import { CaptureMemory } from "../../runtime/workflows/capture/capture-memory.ts";
import { copyRecoveryPoints } from "../../runtime/workflows/copy/copy-recovery-points.ts";
import { heal } from "../../runtime/workflows/heal/heal.ts";
import { keepRecoveryPoint } from "../../runtime/workflows/keep-recovery-point.ts";
import { surveyRepository } from "../../runtime/workflows/prune/survey-repository.ts";
import { dayMs, hourMs, LockedRegion, TestTime } from "../support/estates/pruned-region.ts";
import { ageKeys, silently } from "../support/estates/recovery-estate.ts";
import { codeOf, errorOf } from "../support/expect-code.ts";
import { Faults } from "../support/faults/faulty-store.ts";
import { howMany } from "../support/how-many.ts";
import { seeded } from "../support/seeded.ts";

const histories = howMany("QDRANT_DR_SEEDS", { suite: 2, proof: 40 });
const minuteMs = 60_000;

describe("locks of recovery points", function () {
  this.timeout(120_000);
  let wrap: KeyWrap;
  let region: LockedRegion;

  before(async () => {
    ({ wrap } = await ageKeys());
  });

  beforeEach(() => {
    region = new LockedRegion(wrap, new TestTime());
    region.write("base", "stays");
  });

  /** The manifest, and all that it needs. */
  async function objectsOf(id: string): Promise<string[]> {
    const repository = await region.open();
    const needed = await objectsNeeded(repository, await repository.readRecoveryPoint(id));
    return [storeLayout.repository, storeLayout.manifest(id), ...needed];
  }

  async function shortestLock(id: string): Promise<number> {
    const ends = (await objectsOf(id)).map((key) => region.locked.lockedUntil.get(key)?.getTime() ?? 0);
    return Math.min(...ends);
  }

  /** What retention wants now, and until when; nothing while there is nothing to restore. */
  async function wanted(): Promise<ReadonlyMap<string, number>> {
    const survey = surveyRepository({ ...(await region.context()), storeNow: region.time.now(), expected: undefined });
    return (await survey).decision.wantedUntil;
  }

  async function refuseShort(after: string): Promise<void> {
    for (const [id, until] of await wanted()) {
      const left = (until - (await shortestLock(id))) / hourMs;
      if (left > 0)
        expect.fail(`after ${after} at ${region.time.now().toISOString()}: ${id} lacks ${left} hours of lock`);
    }
  }

  const capture = async () => {
    region.write("changing", region.time.now().toISOString(), 100_000);
    return region.capture();
  };

  for (let seed = 1; seed <= histories; seed += 1) {
    it(`never end before the recovery point is wanted no more, whatever happens (${seed})`, async () => {
      const random = seeded(seed);
      const between = (least: number, most: number) => least + Math.floor(random() * (most - least));
      const made: string[] = [];
      let memory = new CaptureMemory();
      for (let step = 0; step < 40; step += 1) {
        region.time.pass(between(1, 5) === 1 ? between(8, 30) * hourMs : between(1, 200) * minuteMs);
        for (const path of ["a", "b", "c"]) {
          if (random() < 0.2) region.write(path, `${path} ${step}`, 70_000);
        }
        made.push(await region.capture({ memory }));
        await refuseShort("a capture");
        if (step % 7 === 6) {
          const id = made[between(0, made.length)] ?? "";
          const repository = await region.open();
          if (region.locked.objects.has(storeLayout.manifest(id))) {
            const recoveryPoint = await repository.readRecoveryPoint(id);
            await attest(repository, "quarantined", recoveryPoint, {
              at: region.time.now(),
              region: "east",
              detail: "by a test",
            });
            // Who remembers it as restorable locks the next one of its slot briefly: a prune locks that further.
            memory = new CaptureMemory();
          }
        }
        // What takes the place of one that was quarantined is locked further by the next prune.
        if (step % 5 === 4 || step % 7 === 6) {
          await region.prune();
          await refuseShort("a prune");
        }
      }
      // Who has all rights, and deletes all that he can.
      await region.locked.delete(region.keys());
      const left = await wanted();
      expect(left.size).to.be.greaterThan(5);
      for (const id of left.keys()) await (await region.open()).readRecoveryPoint(id);
      expect((await region.verified()).length).to.be.greaterThan(3);
    });
  }

  it("are extended once for many captures, and cost an unchanged one nothing but questions", async () => {
    await capture();
    const extensions: number[] = [];
    for (let n = 0; n < 96; n += 1) {
      region.time.pass(15 * minuteMs);
      const before = region.locked.lockRequests.extended;
      await region.capture();
      extensions.push(region.locked.lockRequests.extended - before);
    }
    const objects = (await objectsOf(await region.capture())).length;
    expect(extensions.filter((count) => count > 0).length, "captures that extended").to.be.at.most(16);
    expect(Math.max(...extensions)).to.be.at.most(objects);
  });

  it("killed anywhere, nothing that is committed lacks a lock; a store that does not lock gets no recovery point", async () => {
    await capture();
    region.time.pass(25 * hourMs);
    region.write("changing", "another", 100_000);
    const state = region.state();
    const seen = new Faults();
    await region.capture({ stores: region.through(seen) });
    const calls = seen.log.flatMap(({ method }, index) =>
      method === "lock" || method === "create" ? [index + 1] : [],
    );
    expect(seen.log.some(({ method }) => method === "lock")).to.equal(true);
    for (const killAt of calls.flatMap((call) => [call, call + 1])) {
      region.rewind(state);
      await codeOf(region.capture({ stores: region.through(new Faults({ killAt })) }));
      await refuseShort(`a kill at ${killAt}`);
      await region.capture();
      await refuseShort("a repetition");
    }

    region.rewind(state);
    const { repository, ...stores } = region.stores;
    const locks = await region.locked.locks();
    const deaf = { ...locks, extend: async () => undefined };
    const lying = new Proxy(repository, {
      get: (store, name) => (name === "locks" ? async () => deaf : Reflect.get(store, name, store)?.bind(store)),
    });
    const before = region.keys("recovery-points/").length;
    const error = await errorOf(region.capture({ stores: { ...stores, repository: lying } }));
    expect(error?.code).to.equal("STORE_REFUSED");
    expect(error?.message).to.include("is not locked until");
    expect(region.keys("recovery-points/").length).to.equal(before);
  });

  it("follow what a person keeps, and what is said of a recovery point lasts as long as it", async () => {
    const first = await capture();
    region.time.pass(5 * minuteMs);
    const kept = await capture();
    region.time.pass(5 * minuteMs);
    await capture();
    const repository = await region.open();
    const now = region.time.now().getTime();
    expect(await shortestLock(kept)).to.be.below(now + 2 * dayMs);
    const until = new Date(now + 8 * dayMs);
    const request = { recoveryPoint: kept, ends: false, clock: region.time };
    await keepRecoveryPoint(repository, { ...request, until: until.toISOString() });
    expect(await shortestLock(kept)).to.be.at.least(until.getTime());
    await keepRecoveryPoint(repository, request);
    expect(await shortestLock(kept), "no longer than retention keeps anything").to.be.within(
      now + 10 * dayMs,
      now + 12 * dayMs,
    );
    const recoveryPoint = await repository.readRecoveryPoint(first);
    await attest(repository, "quarantined", recoveryPoint, {
      at: region.time.now(),
      region: "east",
      detail: "by a test",
    });
    const [said = ""] = region.keys(storeLayout.attestations(first));
    const manifest = region.locked.lockedUntil.get(storeLayout.manifest(first));
    expect(region.locked.lockedUntil.get(said)).to.deep.equal(manifest);
    // Long after its end as retention sees it, a prune has renewed it.
    for (let day = 0; day < 16; day += 1) {
      region.time.pass(dayMs);
      await capture();
      await region.prune();
      expect(await shortestLock(kept)).to.be.greaterThan(region.time.now().getTime() + dayMs);
    }
  });

  it("of copies are as the destination keeps them, and of what heals as long as anything may need it", async () => {
    const west = new LockedRegion(wrap, region.time);
    for (let n = 0; n < 8; n += 1) {
      await capture();
      region.time.pass(2 * hourMs);
    }
    const to = { stores: west.stores, wrap, region: { retention: west.retention } };
    const { copied } = await copyRecoveryPoints(await region.open(), to, silently, region.time);
    expect(copied.length).to.be.greaterThan(3);
    const east = region;
    region = west;
    await refuseShort("a copy");

    const needed = (await objectsOf(copied[0] ?? "")).filter((key) => /^(packs|trees|facts)\//.test(key));
    const [missing = "", damaged = ""] = needed;
    west.locked.objects.delete(missing);
    west.locked.lockedUntil.delete(missing);
    west.locked.objects.set(damaged, Buffer.from("changed"));
    const healed = await heal({
      ...{ objects: west.locked, from: await east.open(), open: () => west.open() },
      ...{ region: "west", clock: west.time, progress: silently, readsAll: true },
    });
    expect(healed.healed.map(({ key }) => key)).to.have.members([missing, damaged]);
    for (const { place } of healed.healed) {
      const left = (west.locked.lockedUntil.get(place)?.getTime() ?? 0) - west.time.now().getTime();
      expect(left, place).to.be.at.least(10 * dayMs);
    }
    region.time.pass(hourMs);
    await refuseShort("a heal");
  });
});
