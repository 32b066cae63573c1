/**
 * Prunes of a repository: what they keep and delete, what they refuse, and that a kill anywhere, a capture or a copy at the same time
 * costs nothing that is needed. Stores in memory, real captures of a folder; time is simulated.
 */
import { expect } from "chai";
import { newId } from "../../runtime/domain/identifier.ts";
import { controlLayout, storeLayout } from "../../runtime/domain/recovery-points/store-layout.ts";
import { DrError } from "../../runtime/errors.ts";
import type { KeyWrap } from "../../runtime/ports/key-wrap.ts";
import { attest } from "../../runtime/repository/catalog/attest.ts";
import { objectsNeeded } from "../../runtime/repository/content/objects-needed.ts";
import { recordRestoreEnd, recordRestoreStart } from "../../runtime/repository/control/restore-records.ts";
import { recordRun } from "../../runtime/repository/control/run-records.ts";
import { recordHeld } from "../../runtime/repository/control/standby-records.ts";
import { lookAtPrunes, openPlan } from "../../runtime/repository/prune/prune-sight.ts";
import { CaptureMemory } from "../../runtime/workflows/capture/capture-memory.ts";
import { copyRecoveryPoints } from "../../runtime/workflows/copy/copy-recovery-points.ts";
import { keepRecoveryPoint } from "../../runtime/workflows/keep-recovery-point.ts";
import { previewPrune } from "../../runtime/workflows/prune/prune-repository.ts";
import { dayMs, hourMs, PrunedRegion, TestTime } from "../support/estates/pruned-region.ts";
import { ageKeys, silently } from "../support/estates/recovery-estate.ts";
import { codeOf, errorOf } from "../support/expect-code.ts";
import { Faults } from "../support/faults/faulty-store.ts";
import { isProof } from "../support/how-many.ts";

describe("prune", function () {
  this.timeout(60_000);
  let wrap: KeyWrap;
  let region: PrunedRegion;

  before(async () => {
    ({ wrap } = await ageKeys());
  });

  beforeEach(() => {
    region = new PrunedRegion(wrap, new TestTime());
    region.write("base", "stays");
  });

  /** A capture every `everyMs`, each with a change of its own. */
  async function history(count: number, everyMs: number): Promise<string[]> {
    const ids: string[] = [];
    for (let n = 0; n < count; n += 1) {
      region.write("changing", `state ${region.time.now().toISOString()}`, 100_000);
      ids.push(await region.capture());
      region.time.pass(everyMs);
    }
    return ids;
  }

  it("plans first, and deletes a day later what nothing needs; all that is left can be read to its last byte", async () => {
    const ids = await history(40, hourMs);
    const before = region.keys();

    const planned = await region.prune();
    expect(region.keys()).to.deep.equal(before);
    expect(planned.executed).to.equal(undefined);
    expect(planned.open?.plan.dropped.recoveryPoints).to.be.greaterThan(8);
    expect(planned.open?.plan.dropped.packs).to.be.greaterThan(8);

    region.time.pass(23 * hourMs);
    await region.capture();
    expect((await region.prune()).executed).to.equal(undefined);
    expect(region.keys("packs/").length).to.equal(before.filter((key) => key.startsWith("packs/")).length);

    region.time.pass(2 * hourMs);
    const { executed } = await region.prune();
    expect(executed?.done.deleted.recoveryPoints).to.equal(planned.open?.plan.dropped.recoveryPoints);
    const left = await region.verified();
    expect(left.length).to.equal(41 - (executed?.done.deleted.recoveryPoints ?? 0));
    expect(left.map(({ id }) => id)).to.include(ids.at(-1));
    // Nothing is left over but what the plan did not know.
    expect(region.keys("packs/").length).to.be.below(before.filter((key) => key.startsWith("packs/")).length);
  });

  it("deletes records of two years ago and standbys' of a month ago, killed anywhere; what decides and the newest of each kind stay", async () => {
    const control = region.controlStore;
    const restored = { recoveryPoint: "any", collections: ["notes"], target: "elsewhere" };
    for (let month = 0; month < 40; month += 1) {
      const at = region.time.now();
      const record = { region: "east", startedAt: at.toISOString(), finishedAt: at.toISOString(), toolVersion: "test" };
      await recordRun(control, { ...record, run: month < 3 ? "copy" : "full", exitCode: 0 });
      const restore = { ...restored, id: newId(at), at: at.toISOString() };
      await recordRestoreStart(control, restore);
      await recordRestoreEnd(control, restore, at);
      const state = { format: 1, region: "west", epoch: 1, recoveryPoint: "any", at: at.toISOString() } as const;
      const held = { isExact: true, asOf: state.at, processes: [], fingerprints: {}, collections: [] };
      await recordHeld(control, { ...state, ...held });
      region.time.pass(31 * dayMs);
    }
    await region.capture();
    const keys = (prefix: string) => [...control.objects.keys()].filter((key) => key.startsWith(prefix)).sort();
    const before = { runs: keys("runs/"), restores: keys("restores/"), states: keys("standby/states/") };
    const state = region.state();
    expect((await previewPrune(await region.context())).records).to.equal(15 + 2 * 17 + 39);

    const seen = new Faults();
    expect((await region.prune({ stores: region.through(seen) })).records).to.deep.equal({ deleted: 88, kept: 0 });
    const deletes = seen.log.flatMap(({ method }, index) => (method === "delete" ? [index + 1] : []));
    expect(deletes).to.have.lengthOf(4);
    for (const killAt of [...deletes, Number.POSITIVE_INFINITY]) {
      region.rewind(state);
      await codeOf(region.prune({ stores: region.through(new Faults({ killAt })) }));
      const starts = new Set(keys("restores/").filter((key) => key.endsWith(".started.json")));
      for (const key of starts) expect(keys("restores/")).to.include(key.replace("started", "done"));
      await region.prune();
      expect(keys("runs/")).to.deep.equal([before.runs[2], ...before.runs.slice(16)]);
      expect(keys("restores/")).to.deep.equal(before.restores.slice(34));
      expect(keys("standby/states/")).to.deep.equal(before.states.slice(39));
      expect(keys("epochs/")).to.have.lengthOf(1);
    }

    region.rewind(state);
    const refusing = { delete: () => Promise.reject(new DrError("ACCESS_DENIED", "no right to delete")) };
    const refused = await region.prune({ stores: { ...region.stores, prunableControl: refusing } });
    expect(refused.records.deleted).to.equal(0);
    expect(keys("runs/")).to.deep.equal(before.runs);
  });

  it("leaves no object that nothing needs, once all that happened is older than the waits", async () => {
    await history(30, hourMs);
    for (let day = 0; day < 6; day += 1) {
      await region.capture();
      await region.prune();
      region.time.pass(dayMs + hourMs);
    }
    const left = await region.verified();
    const repository = await region.open();
    const needed = new Set<string>();
    for (const each of left) for (const key of await objectsNeeded(repository, each)) needed.add(key);
    const unneeded = [...region.keys("packs/"), ...region.keys("trees/")].filter((key) => !needed.has(key));
    expect(unneeded).to.deep.equal([]);
    expect(region.keys("sessions/").length).to.be.below(6);
  });

  it("keeps what a person keeps: for good, until a time, until that is ended, and also where a listing does not show it", async () => {
    const ids = await history(12, hourMs);
    const [forGood = "", forAWhile = "", ended = ""] = [ids[1], ids[2], ids[3]];
    const keep = async (recoveryPoint: string, more: { until?: string; ends?: boolean; reason?: string } = {}) =>
      keepRecoveryPoint(await region.open(), { recoveryPoint, ends: false, clock: region.time, ...more });
    await keep(forGood, { reason: "for the audit" });
    await keep(forAWhile, { until: new Date(region.time.now().getTime() + 10 * dayMs).toISOString() });
    await keep(ended);
    await keep(ended, { ends: true });
    expect(await codeOf(keep("20260301T000000000Z-00000000"))).to.equal("RECOVERY_POINT_NOT_FOUND");
    expect(await codeOf(keep(forGood, { until: "2026-01-01T00:00:00Z" }))).to.equal("USAGE");
    const pruneFor = async (days: number, stores = region.stores) => {
      for (let day = 0; day < days; day += 1) {
        await region.capture();
        await region.prune({ stores });
        region.time.pass(dayMs + hourMs);
      }
      return (await region.verified()).map(({ id }) => id);
    };
    const preview = await previewPrune(await region.context());
    expect(preview.kept.find(({ id }) => id === forGood)?.reasons).to.include("kept: for the audit");
    expect(await pruneFor(4))
      .to.include.members([forGood, forAWhile])
      .and.not.include(ended);
    expect(await pruneFor(10))
      .to.include(forGood)
      .and.not.include(forAWhile);
    const blind = region.through(new Faults({ shorten: { prefix: "kept/", to: 0 } }));
    expect(await pruneFor(3, blind)).to.include(forGood);
  });

  it("tells who keeps a recovery point too late that it may be gone", async () => {
    const ids = await due();
    const dropped = [...(await newestPlanOf(region)).dropped][0] ?? "";
    expect(ids).to.include(dropped);
    const begins = new Faults({ refuse: { method: "delete", prefix: "" } });
    await errorOf(region.prune({ stores: region.through(begins) }));
    const keeping = keepRecoveryPoint(await region.open(), { recoveryPoint: dropped, ends: false, clock: region.time });
    expect((await errorOf(keeping))?.message).to.contain("may be gone");
    // It was said before anything of it was deleted: the run that goes on spares it.
    await region.prune();
    expect((await region.verified()).map(({ id }) => id)).to.include(dropped);
  });

  it("killed at every call it makes to a store, and run again, it completes, and loses nothing at any time", async () => {
    await history(16, 2 * hourMs);
    await region.prune();
    region.time.pass(dayMs + hourMs);
    await region.capture();
    const atStart = region.state();
    const clean = new Faults();
    await region.prune({ stores: region.through(clean) });
    const wanted = region.keys();
    expect(clean.calls).to.be.greaterThan(80);
    const step = isProof ? 1 : Math.ceil(clean.calls / 23);
    for (let killAt = 1; killAt <= clean.calls; killAt += step) {
      region.rewind(atStart);
      const killed = new Faults({ killAt });
      // Only a turn that cannot be given back is no error.
      expect(await codeOf(region.prune({ stores: region.through(killed) }))).to.be.oneOf(["UNREACHABLE", undefined]);
      expect((await region.verified()).length, `complete after a kill at ${killAt}`).to.be.greaterThan(5);
      await region.prune();
      expect(region.keys(), `after a kill at ${killAt}`).to.deep.equal(wanted);
    }
  });

  async function newestPlanOf({
    stores: { control },
  }: PrunedRegion): Promise<{ readonly dropped: ReadonlySet<string> }> {
    const plan = await openPlan(control, await lookAtPrunes(control));
    return { dropped: (await plan?.droppedIds()) ?? new Set() };
  }

  /** A history with a plan whose time has come. */
  async function due(): Promise<string[]> {
    const ids = await history(16, 2 * hourMs);
    await region.prune();
    region.time.pass(dayMs + hourMs);
    ids.push(await region.capture());
    return ids;
  }

  const somePack = () => region.keys("packs/")[3] ?? "";

  const refusals: readonly [string, () => Promise<void> | void, RegExp][] = [
    ["an empty repository that was full", () => remove("recovery-points/"), /no recovery point is listed/],
    ["fewer packs than were counted", () => remove(somePack()), /packs are listed where at least/],
    [
      "a recovery point that was kept and is gone, though a new one makes up for the number",
      async () => {
        remove(storeLayout.manifest((await region.verified()).at(-2)?.id ?? ""));
        await region.capture();
      },
      /recovery points that were kept are not listed/,
    ],
    [
      "a manifest that cannot be read",
      () => garble(storeLayout.manifest(region.keys("recovery-points/")[0]?.split("/")[2] ?? "")),
      /what cannot be read may need anything: recovery-points\//,
    ],
    [
      "a tree that cannot be read",
      async () => {
        const tree = (await region.verified()).at(-2)?.folders[0]?.tree.id ?? "";
        region.repositoryStore.objects.get(storeLayout.tree(tree))?.fill(0, 40, 60);
      },
      /what cannot be read may need anything: trees\/.* of /,
    ],
    [
      "an epoch that cannot be read",
      () => void region.controlStore.objects.set(controlLayout.epoch(2), Buffer.from("?")),
      /epochs\/0000000002.json cannot be read/,
    ],
    [
      "a newest recovery point that is too old",
      () => region.time.pass(3 * dayMs),
      /the newest recovery point .* is .* old/,
    ],
    [
      "a plan that cannot be read",
      () => void region.controlStore.objects.set(controlLayout.prunePlan(1), Buffer.from("?")),
      /plan.json cannot be read/,
    ],
  ];

  function remove(prefix: string): void {
    for (const key of region.keys(prefix)) region.repositoryStore.objects.delete(key);
  }

  function garble(key: string): void {
    expect(region.repositoryStore.objects.has(key), key).to.equal(true);
    region.repositoryStore.objects.set(key, Buffer.from("?"));
  }

  for (const [what, harm, message] of refusals) {
    it(`deletes nothing when it meets ${what}, and names it`, async () => {
      await due();
      await harm();
      const before = region.keys();
      const error = await errorOf(region.prune());
      expect(error?.code).to.be.oneOf(["PRUNE_REFUSED", "OBJECT_CORRUPT"]);
      expect(error?.message).to.match(message);
      expect(region.keys()).to.deep.equal(before);
    });
  }

  for (const listings of ["short", "empty", "late"] as const) {
    it(`deletes nothing that is needed when listings are ${listings}`, async () => {
      await due();
      const faults = new Faults({ listings });
      const before = region.keys();
      const error = await errorOf(
        region.prune({ stores: { ...region.stores, repository: faults.wrap(region.repositoryStore) } }),
      );
      // What is late shows all that the plan knew.
      if (listings !== "late") {
        expect(error?.code).to.equal("PRUNE_REFUSED");
        expect(region.keys()).to.deep.equal(before);
      }
      expect((await region.verified()).length).to.be.greaterThan(5);
    });
  }

  it("deletes nothing with a clock that shows another time than the store's, ahead or behind", async () => {
    await due();
    const before = region.keys();
    for (const ms of [-11 * 60_000, 11 * 60_000, 400 * dayMs]) {
      const clock = {
        ...region.time,
        sleep: async () => undefined,
        monotonic: () => 0,
        now: () => new Date(region.time.now().getTime() + ms),
      };
      const error = await errorOf(region.prune({ clock }));
      if (error !== undefined) expect(error.code, String(ms)).to.equal("PRUNE_REFUSED");
      expect(region.keys()).to.deep.equal(before);
    }
    const clock = {
      ...region.time,
      sleep: async () => undefined,
      monotonic: () => 0,
      now: () => new Date(region.time.now().getTime() - 9 * 60_000),
    };
    expect((await region.prune({ clock })).executed).not.to.equal(undefined);
  });

  it("goes on after what is missing was accepted, and after what cannot be read was given up", async () => {
    await due();
    const first = (await region.verified()).at(-2);
    garble(storeLayout.manifest(first?.id ?? ""));
    expect(await codeOf(region.prune())).to.equal("PRUNE_REFUSED");
    remove(storeLayout.manifest(first?.id ?? ""));
    expect(await codeOf(region.prune())).to.equal("PRUNE_REFUSED");
    expect((await region.prune({ acceptsFewer: true })).executed).not.to.equal(undefined);

    const second = (await region.verified()).at(-2);
    garble(storeLayout.manifest(second?.id ?? ""));
    region.time.pass(dayMs + hourMs);
    await region.capture();
    expect(await codeOf(region.prune())).to.equal("PRUNE_REFUSED");
    const sound = (await region.verified()).at(-1)?.id ?? "";
    expect(await codeOf(region.prune({ giveUp: [second?.id ?? "", sound] }))).to.equal("PRUNE_REFUSED");
    const { open } = await region.prune({ giveUp: [second?.id ?? ""] });
    expect(open?.plan.kept).not.to.include(second?.id);
    region.time.pass(dayMs + hourMs);
    await region.capture();
    await region.prune();
    expect(region.keys(storeLayout.manifest(second?.id ?? ""))).to.deep.equal([]);
  });

  it("refuses beside a run that lives, and goes on with the work of one that is dead", async () => {
    await due();
    const alive = { mark: "other", isDead: () => false };
    const killed = new Faults({ killAt: 60 });
    expect(await codeOf(region.prune({ stores: region.through(killed), runner: alive }))).to.equal("UNREACHABLE");
    expect(await codeOf(region.prune({ runner: alive }))).to.equal("EPOCH_CONFLICT");
    region.time.pass(2 * hourMs + 1_000);
    expect((await region.prune({ runner: alive })).executed).not.to.equal(undefined);
  });

  it("keeps what epochs, restores that have not ended and quarantines speak of", async () => {
    const ids = await history(16, 2 * hourMs);
    const repository = await region.open();
    const [held, restored, bad] = [ids[1] ?? "", ids[3] ?? "", ids.at(-1) ?? ""];
    const epoch = {
      epoch: 2,
      active: "east",
      reason: "aborted",
      run: "r",
      recoveryPoint: held,
      at: region.time.now().toISOString(),
    };
    region.controlStore.objects.set(controlLayout.epoch(2), Buffer.from(JSON.stringify(epoch)));
    const at = region.time.now().toISOString();
    const restore = { id: "x", recoveryPoint: restored, collections: [], at };
    region.controlStore.objects.set(controlLayout.restore("x"), Buffer.from(JSON.stringify(restore)));
    await attest(repository, "quarantined", { id: bad }, { at: region.time.now(), region: "east", detail: "" });
    const { open } = await region.prune();
    expect(open?.plan.kept).to.include.members([held, restored, bad, ids.at(-2)]);
    expect(open?.plan.dropped.recoveryPoints).to.be.greaterThan(0);
  });

  it("waits for a capture that began before the plan, however long it takes, and the capture is whole", async () => {
    await history(16, 2 * hourMs);
    let executed: unknown;
    const slow = await region.capture({
      meanwhile: async () => {
        await region.prune();
        for (let days = 0; days < 4; days += 1) {
          region.time.pass(dayMs + hourMs);
          await signOfLife();
          region.write("other", `other ${days}`);
          await region.capture();
          const report = await region.prune();
          executed ??= report.executed;
          expect(report.open?.waitsFor, `on day ${days}`).not.to.equal(undefined);
        }
      },
    });
    expect(executed).to.equal(undefined);
    expect((await region.prune()).executed).not.to.equal(undefined);
    expect((await region.verified()).map(({ id }) => id)).to.include(slow);
  });

  /** As the timer of a capture gives it. */
  async function signOfLife(): Promise<void> {
    const at = region.time.now();
    for (const session of new Set(region.keys("sessions/").map((key) => key.split("/")[1] ?? ""))) {
      if (region.keys(storeLayout.manifest(session)).length > 0) continue;
      await region.repositoryStore.create(storeLayout.sessionAlive(session, at.toISOString()), Buffer.from("{}"));
    }
  }

  it("tells a capture that was frozen until it counted for dead, when that commits what a prune has removed", async () => {
    await history(16, 2 * hourMs);
    const memory = new CaptureMemory();
    await region.capture({ memory });
    region.write("changing", "frozen");
    const error = await errorOf(
      region.capture({
        memory,
        meanwhile: async () => {
          for (let days = 0; days < 5; days += 1) {
            region.time.pass(dayMs + hourMs);
            region.files.set(`other ${days}`, Buffer.from(`other ${days}`));
            for (const path of ["base", "changing"]) region.files.delete(path);
            await region.capture({ type: "full" });
            await region.prune({ retention: { days: 1, fourHourlyDays: 1, atLeast: 1 } });
          }
        },
      }),
    );
    expect(error?.code).to.equal("CAPTURE_INCOMPLETE");
    expect(error?.message).to.match(/a prune that began meanwhile/);
    expect((await region.verified()).length).to.be.greaterThan(0);
  });

  it("a run that captures again and again forgets what it knows when a prune is planned, and stays whole", async () => {
    const memory = new CaptureMemory();
    for (let n = 0; n < 60; n += 1) {
      region.write("changing", `state ${n}`, 100_000);
      await region.capture({ memory });
      region.time.pass(2 * hourMs);
      if (n % 6 === 5) await region.prune({ retention: { days: 2, fourHourlyDays: 1, atLeast: 1 } });
    }
    const left = await region.verified();
    expect(left.length).to.be.within(5, 60);
    expect(left.length).to.equal(region.keys("recovery-points/").length);
  });

  it("copies are not made of what the other region's retention dropped, and lose nothing to a prune there", async () => {
    const west = new PrunedRegion(wrap, region.time);
    const copy = async () =>
      copyRecoveryPoints(
        await region.open(),
        { ...west.stores, stores: west.stores, wrap, region: { retention: undefined } },
        silently,
        region.time,
      );
    for (let n = 0; n < 30; n += 1) {
      region.write("changing", `state ${n}`, 100_000);
      await region.capture();
      region.time.pass(4 * hourMs);
      await copy();
      if (n % 6 === 5) await west.prune({ retention: { days: 365, fourHourlyDays: 30 } });
    }
    const again = await copy();
    expect(again.copied).to.deep.equal([]);
    const left = await west.verified();
    expect(left.length).to.equal(west.keys("recovery-points/").filter((key) => key.endsWith("/manifest")).length);
  });
});
