/**
 * A switchover that is killed, overtaken, cut off or repeated at each of its steps: two real Qdrants, real
 * replication and guards, stores in memory. Whatever happens, never do both gates let writes through, the next run
 * completes, and what a client was told is safe is there.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "chai";
import { controlLayout } from "../../runtime/domain/recovery-points/store-layout.ts";
import type { EpochRecord } from "../../runtime/domain/roles/epoch.ts";
import { DrError } from "../../runtime/errors.ts";
import type { Gate, GateState } from "../../runtime/ports/gate.ts";
import type { ObjectStore } from "../../runtime/ports/object-store.ts";
import { readEffectiveRole } from "../../runtime/repository/control/effective-role.ts";
import { claimEpoch, readEpochs } from "../../runtime/repository/control/epochs.ts";
import { switchOver } from "../../runtime/workflows/failover/fail-over.ts";
import { planSwitchover } from "../../runtime/workflows/failover/plan-failover.ts";
import type { FailoverRequest, SwitchoverRequest } from "../../runtime/workflows/failover/request.ts";
import { Guard } from "../../runtime/workflows/gate/guard.ts";
import { Replication } from "../../runtime/workflows/replicate/replication.ts";
import { SourceCapturer } from "../../runtime/workflows/replicate/source-capturer.ts";
import { allOf } from "../support/all-of.ts";
import { planAndFailOver, planAndSwitchOver } from "../support/estates/change-roles.ts";
import { FakeStacks, FakeTraffic, regionNamed } from "../support/estates/fake-region.ts";
import { type MemoryStores, silently, systemClock } from "../support/estates/recovery-estate.ts";
import { clientOf, contentOf } from "../support/estates/recovery-practice.ts";
import { StandbyPair } from "../support/estates/standby-pair.ts";
import { codeOf, errorOf } from "../support/expect-code.ts";
import { Faults } from "../support/faults/faulty-store.ts";
import { MemoryStore } from "../support/servers/memory-store.ts";

const notes = "notes";
const told = { clock: systemClock, progress: silently };
const steps = [
  "follow",
  "fence",
  "drain",
  "last-writes",
  "compare",
  "epoch",
  "restore",
  "verify",
  "open",
  "traffic",
  "promote",
  "step-down",
] as const;

type RegionName = "east" | "west";

/** A guard without the process around it. */
class GuardedGate implements Gate {
  readonly #guard: Guard;

  constructor(region: string, control: ObjectStore, peerControl: ObjectStore) {
    const mode = "availability";
    this.#guard = new Guard({
      region,
      mode,
      control,
      peerControl,
      async carryEpoch(epoch) {
        const key = controlLayout.epoch(epoch);
        await control.create(key, await peerControl.get(key));
      },
      lease: undefined,
      seen: undefined,
      remember: silently,
    });
  }

  async state(): Promise<GateState> {
    const { epoch, isOpen, reason } = this.#guard.view;
    return { isOpen, reason, epoch, mode: "availability", inFlight: 0, cut: 0, silent: [] };
  }

  async look(): Promise<GateState> {
    await this.#guard.look();
    return this.state();
  }
}

describe("switchover under faults", function () {
  this.timeout(300_000);
  let pair: StandbyPair;
  let gates: Record<"east" | "west", GuardedGate>;
  let traffic: FakeTraffic;
  let stacks: FakeStacks;
  let acknowledged: number[];
  let nextId: number;

  before(async () => {
    pair = await StandbyPair.start();
  });
  after(() => pair?.stop());

  async function begin(): Promise<void> {
    await pair.empty();
    await pair.client.createCollection(notes, {
      vectors: { size: 4, distance: "Dot" },
      wal_config: { wal_capacity_mb: 1 },
    });
    gates = {
      east: new GuardedGate("east", pair.east.control, pair.west.control),
      west: new GuardedGate("west", pair.west.control, pair.east.control),
    };
    traffic = new FakeTraffic();
    stacks = new FakeStacks(pair.west.control);
    [acknowledged, nextId] = [[], 1];
    for (let n = 0; n < 20; n += 1) await write();
  }

  /** A client that knows both addresses: the write counts only where a gate let it through. */
  async function write(): Promise<("east" | "west")[]> {
    const open: ("east" | "west")[] = [];
    for (const region of ["east", "west"] as const) {
      if (!(await gates[region].look()).isOpen) continue;
      open.push(region);
      const id = nextId++;
      const client = clientOf(region === "east" ? pair.sourceServer : pair.standbyServer);
      await client.upsert(notes, { wait: true, points: [{ id, vector: [id, 1, 2, 3], payload: { id } }] });
      acknowledged.push(id);
    }
    return open;
  }

  const databaseOf = (region: RegionName) => (region === "east" ? pair.source : pair.standby);
  const peerOf = (region: RegionName): RegionName => (region === "east" ? "west" : "east");

  interface Changes {
    readonly faults?: Faults;
    readonly to?: RegionName;
    readonly hooks?: SwitchoverRequest["hooks"];
    readonly database?: SwitchoverRequest["database"];
  }

  async function request(
    run: string,
    { faults = new Faults(), to = "west", ...more }: Changes = {},
  ): Promise<SwitchoverRequest> {
    const faulty = ({ control, repository }: MemoryStores) => ({
      control: faults.wrap(control),
      repository: faults.wrap(repository),
    });
    const from = peerOf(to);
    const [other, repository] = [faulty(pair[from]), await pair.repository(faulty(pair[to]))];
    return {
      kind: "switchover",
      stack: to,
      region: regionNamed(to),
      repository,
      database: databaseOf(to),
      gate: gates[to],
      traffic,
      stacks,
      run,
      active: { region: from, database: databaseOf(from), control: other.control, gate: gates[from] },
      toolVersion: "test",
      ...told,
      ...more,
    };
  }

  async function failoverRequest(run: string, changes: Changes = {}): Promise<FailoverRequest> {
    const { active, toolVersion: _, ...same } = await request(run, changes);
    return { ...same, kind: "failover", lostControl: active.control, acceptedDataLossSeconds: 600 };
  }

  function forgetSignsOfLife(): void {
    const { objects } = pair.west.control;
    for (const key of [...objects.keys()]) if (key.includes("/alive.")) objects.delete(key);
  }

  async function expectDone(what: string): Promise<void> {
    expect(await write(), what).to.deep.equal(["west"]);
    const epochs = (await readEpochs(pair.west.control)).map(({ active, epoch }) => `${epoch} ${active}`);
    expect(epochs, what).to.deep.equal(["1 east", "2 west"]);
    expect((await readEffectiveRole("west", pair.west.control)).role, what).to.equal("active");
    expect((await readEffectiveRole("east", pair.east.control)).role, what).to.equal("fenced");
    expect(traffic.target, what).to.deep.equal({ region: "west", epoch: 2 });
    const present = await allOf(pair.standby.ids(notes));
    expect(
      acknowledged.filter((id) => !present.includes(id)),
      what,
    ).to.deep.equal([]);
  }

  for (const step of steps) {
    for (const when of ["before", "after"] as const) {
      it(`killed ${when} ${step}: never two gates open, and the next run completes with nothing lost`, async () => {
        await begin();
        const faults = new Faults();
        const killed = planAndSwitchOver(
          await request("run-1", {
            faults,
            async hooks(event) {
              if (event.step !== step || event.when !== when) return;
              faults.kill();
              throw new Error("killed");
            },
          }),
        );
        await killed.then(
          () => expect.fail("it was not killed"),
          () => undefined,
        );
        expect((await write()).length, "gates open after the kill").to.be.lessThan(2);
        forgetSignsOfLife();
        const report = await planAndSwitchOver(await request("run-2"));
        expect(report).to.include({ epoch: 2, mode: "switchover", dataLossSeconds: 0, isVerified: true });
        const wasFenced = steps.indexOf(step) > steps.indexOf("fence") || (step === "fence" && when === "after");
        expect(report.pauseSeconds === undefined, "the pause began with another run").to.equal(wasFenced);
        await expectDone("after the second run");
      });
    }
  }

  it("run again when it is done: says so, and changes nothing that clients have written since", async () => {
    await begin();
    await planAndSwitchOver(await request("run-1"));
    await write();
    forgetSignsOfLife();
    await planAndSwitchOver(await request("run-2"));
    await expectDone("after the second run");
  });

  for (const step of steps) {
    it(`overtaken while it stands before ${step}: goes on into nothing, and the other run's work holds`, async () => {
      await begin();
      let goOn = () => {};
      const paused = new Promise<void>((resolve) => {
        goOn = resolve;
      });
      let isThere = () => {};
      const there = new Promise<void>((resolve) => {
        isThere = resolve;
      });
      const stale = planAndSwitchOver(
        await request("run-1", {
          async hooks(event) {
            if (event.step !== step || event.when !== "before") return;
            isThere();
            await paused;
          },
        }),
      );
      await there;
      forgetSignsOfLife();
      // Silent for so long that another run takes over.
      await planAndSwitchOver(await request("run-2"));
      await write();
      goOn();
      expect(await codeOf(stale)).to.equal("EPOCH_CONFLICT");
      await expectDone("in the end");
    });
  }

  it("the active region's control store cannot be reached: refused or aborted, and it serves on", async () => {
    await begin();
    const cut = new Faults();
    cut.kill();
    const otherControl = cut.wrap(pair.east.control);
    const wanted = await request("run-1");
    const active = { ...wanted.active, control: otherControl };
    const refusal = await errorOf(planAndSwitchOver({ ...wanted, active }));
    expect(refusal?.code).to.equal("UNREACHABLE");
    expect(await write(), "the guard sees in the other store that it was aborted").to.deep.equal(["east"]);
  });

  const dead = async (): Promise<never> => {
    throw new DrError("UNREACHABLE", "injected: it does not answer");
  };
  const deadGate: Gate = { look: dead, state: dead };
  for (const [what, code, change] of [
    ["the gate of the region to promote does not answer", "UNREACHABLE", () => ({ gate: deadGate })],
    ["the endpoint does not answer", "UNREACHABLE", () => ({ traffic: { current: dead, pointTo: dead } })],
    [
      "the gate of the active region does not answer",
      "UNREACHABLE",
      ({ active }: SwitchoverRequest) => ({ active: { ...active, gate: deadGate } }),
    ],
    [
      "the active region has no gate",
      "NOT_SUPPORTED",
      ({ active }: SwitchoverRequest) => ({ active: { ...active, gate: undefined } }),
    ],
  ] as const) {
    it(`${what}: refused before anything is fenced, and the active region serves on`, async () => {
      await begin();
      const wanted = await request("run-1");
      expect(await codeOf(planAndSwitchOver({ ...wanted, ...change(wanted) }))).to.equal(code);
      for (const { control } of [pair.east, pair.west]) {
        expect(control.objects.has(controlLayout.fence(2))).to.equal(false);
      }
      expect(await write()).to.deep.equal(["east"]);
    });
  }

  it("overtaken by a run that died while it is fenced: says that the region stays fenced, and how to end that", async () => {
    await begin();
    const second = new Faults();
    const refusal = await errorOf(
      planAndSwitchOver(
        await request("run-1", {
          async hooks({ step, when }) {
            if (step !== "drain" || when !== "before") return;
            forgetSignsOfLife();
            const other = await request("run-2", {
              faults: second,
              async hooks(event) {
                if (event.step !== "drain" || event.when !== "before") return;
                second.kill();
                throw new Error("killed");
              },
            });
            await errorOf(planAndSwitchOver(other));
          },
        }),
      ),
    );
    expect(refusal?.code).to.equal("EPOCH_CONFLICT");
    expect(refusal?.message).to.contain("east stays fenced until that run ends");
    expect(refusal?.hint).to.contain("switchover abort");
    expect(await write()).to.deep.equal([]);
  });

  it("resumed with a listing that misses what was done, after clients changed what is served: completes, and claims no proof", async () => {
    await begin();
    await pair.client.createCollection("archive", { vectors: { size: 4, distance: "Dot" } });
    const killed = planAndSwitchOver(
      await request("run-1", {
        async hooks({ step, when }) {
          if (step === "open" && when === "after") throw new DrError("HOOK_FAILED", "killed");
        },
      }),
    );
    expect(await codeOf(killed)).to.equal("HOOK_FAILED");
    await write();
    await clientOf(pair.standbyServer).deleteCollection("archive");
    forgetSignsOfLife();
    const { objects } = pair.west.control;
    for (const key of [...objects.keys()]) if (key.includes(".done.")) objects.delete(key);
    const report = await planAndSwitchOver(await request("run-2"));
    expect(report).to.include({ isVerified: false, points: acknowledged.length });
    await expectDone("in the end");
  });

  it("a collection that somebody else makes before it is restored is replaced by no run, however often it is tried", async () => {
    await begin();
    await (await followed("west")).capture("exact");
    const client = clientOf(pair.standbyServer);
    const first = await failoverRequest("run-1", {
      async hooks({ step, when }) {
        if (step !== "restore" || when !== "before") return;
        await client.createCollection(notes, { vectors: { size: 4, distance: "Dot" } });
        await client.upsert(notes, { wait: true, points: [{ id: 9_000, vector: [1, 2, 3, 4] }] });
      },
    });
    expect(await codeOf(planAndFailOver(first))).to.equal("TARGET_NOT_EMPTY");
    const theirs = await contentOf(pair.standby, notes);
    for (const run of ["run-2", "run-3"]) {
      forgetSignsOfLife();
      expect(await codeOf(planAndFailOver(await failoverRequest(run))), run).to.equal("TARGET_NOT_EMPTY");
      expect(await contentOf(pair.standby, notes)).to.deep.equal(theirs);
    }
    await client.deleteCollection(notes);
    forgetSignsOfLife();
    expect(await planAndFailOver(await failoverRequest("run-4"))).to.include({ mode: "failover", isVerified: true });
  });

  it("a region that serves from what it captured itself is resumed, also when its own work is all that is there", async () => {
    await begin();
    const earlier = new SourceCapturer({
      source: { region: "east", database: pair.source, control: pair.east.control },
      repository: await pair.repository(pair.east),
      toolVersion: "test",
      ...told,
    });
    await earlier.capture("exact");
    const captured = await contentOf(pair.source, notes);
    await planAndSwitchOver(await request("there"));
    await pair.source.deleteCollection(notes);
    stacks = new FakeStacks(pair.east.control, regionNamed("east"));
    const killed = await failoverRequest("back", {
      to: "east",
      async hooks({ step, when }) {
        if (step === "restore" && when === "after") throw new DrError("HOOK_FAILED", "killed");
      },
    });
    expect(await codeOf(planAndFailOver(killed))).to.equal("HOOK_FAILED");
    const { objects } = pair.east.control;
    for (const key of [...objects.keys()]) if (/\/alive\.|\.done\./.test(key)) objects.delete(key);
    const report = await planAndFailOver(await failoverRequest("again", { to: "east" }));
    expect(report).to.include({ mode: "failover", epoch: 3, isVerified: true });
    expect(await contentOf(pair.source, notes)).to.deep.equal(captured);
  });

  it("a plan that another run has overtaken is refused before anything is fenced, and changes nothing", async () => {
    await begin();
    const wanted = await request("run-1");
    const plan = await planSwitchover(wanted);
    await claimEpoch(pair.west.control, { ...epochOf(2, "east"), previous: "east", reason: "aborted" });
    // Its gate carries the other run's epoch over by itself, whoever asks it to look.
    await gates.east.look();
    const before = [...pair.east.control.objects.keys()];
    expect(await codeOf(switchOver(wanted, plan))).to.equal("EPOCH_CONFLICT");
    expect([...pair.east.control.objects.keys()]).to.deep.equal(before);
    expect(pair.west.control.objects.has(controlLayout.fence(2))).to.equal(false);
    expect(await write()).to.deep.equal(["east"]);
  });

  it("a failover that a switchover resumes stays one: it ends the lease, and says what was lost", async () => {
    await begin();
    await (await followed("west")).cycle("exact");
    const killed = planAndFailOver({
      ...(await failoverRequest("run-1")),
      async hooks({ step, when }) {
        if (step === "epoch" && when === "after") throw new Error("killed");
      },
    });
    await killed.then(
      () => expect.fail("it was not killed"),
      () => undefined,
    );
    forgetSignsOfLife();
    const report = await planAndSwitchOver({ ...(await request("run-2")), witness: new MemoryStore() });
    expect(report).to.include({ mode: "failover", isVerified: true, pauseSeconds: undefined });
    expect(report.dataLossSeconds).to.be.greaterThan(0);
    expect(report.steps.map(({ name }) => name)).to.include.members(["lease", "step-down"]);
    // Verified by the run before it.
    forgetSignsOfLife();
    const again = await planAndSwitchOver(await request("run-3"));
    expect(again).to.include({ isVerified: true });
    expect(again.steps.find(({ name }) => name === "verify")?.detail).to.equal("done by an earlier run");
  });

  it("what was brought over is not what is there: aborted before the epoch, and the active region serves on", async () => {
    await begin();
    const wanted = await request("run-1", {
      async hooks({ step, when }) {
        if (step !== "compare" || when !== "before") return;
        await clientOf(pair.standbyServer).delete(notes, { wait: true, points: [1] });
      },
    });
    const refusal = await errorOf(planAndSwitchOver(wanted));
    expect(refusal?.code).to.equal("VERIFICATION_FAILED");
    expect(refusal?.message).to.contain("the switchover was aborted and east serves again");
    expect(await write()).to.deep.equal(["east"]);
    expect((await readEpochs(pair.west.control)).map(({ reason }) => reason)).to.deep.equal(["initial", "aborted"]);
  });

  /** As its replicator would: without leave to replace anything, unless it is given. */
  async function followed(standby: RegionName, existing: "refuse" | "replace" = "refuse"): Promise<Replication> {
    const source = peerOf(standby);
    return new Replication({
      source: { region: source, database: databaseOf(source), control: pair[source].control },
      standby: { region: standby, database: databaseOf(standby), repository: await pair.repository(pair[standby]) },
      existing,
      toolVersion: "test",
      ...told,
    });
  }

  const epochOf = (epoch: number, active: RegionName): EpochRecord => ({
    epoch,
    active,
    previous: peerOf(active),
    reason: "failover",
    run: "elsewhere",
    at: new Date().toISOString(),
  });

  it("a replicator takes no turn from a failover that claimed its epoch, and brings nothing of an ended epoch afterwards", async () => {
    await begin();
    const replication = await followed("west", "replace");
    const state = await replication.capture("exact");
    await replication.apply(state);
    await pair.standby.deleteCollection(notes);
    const codes: (string | undefined)[] = [];
    const database = new Proxy(pair.standby, {
      get(target, name) {
        const member = Reflect.get(target, name);
        if (typeof member !== "function") return member;
        if (name !== "restoreShard") return member.bind(target);
        return async (...args: unknown[]) => {
          // Overtaken, and then for the turn that it would take again.
          for (let tries = 0; tries < 2; tries += 1) codes.push(await codeOf(replication.apply(state)));
          return member.apply(target, args);
        };
      },
    });
    const report = await planAndFailOver(await failoverRequest("run-1", { database }));
    expect(report).to.include({ epoch: 2, mode: "failover" });
    expect(codes).to.deep.equal(["EPOCH_CONFLICT", "ROLE_REFUSES"]);
    await write();
    const before = await contentOf(pair.standby, notes);
    expect(await codeOf(replication.apply(state)), "while the region is active").to.equal("ROLE_REFUSES");
    for (const { control } of [pair.east, pair.west]) await claimEpoch(control, epochOf(3, "east"));
    expect(await codeOf(replication.apply(state)), "after it was").to.equal("EPOCH_CONFLICT");
    expect(await contentOf(pair.standby, notes)).to.deep.equal(before);
  });

  it("a failover back before the region that stepped down has followed leaves what it holds, which is newer than its recovery points", async () => {
    await begin();
    const earlier = new SourceCapturer({
      source: { region: "east", database: pair.source, control: pair.east.control },
      repository: await pair.repository(pair.east),
      toolVersion: "test",
      ...told,
    });
    await earlier.capture("exact");
    await write();
    await planAndSwitchOver(await request("there"));
    const before = await contentOf(pair.source, notes);
    const back = await failoverRequest("back", { to: "east" });
    expect(await codeOf(planAndFailOver(back))).to.equal("TARGET_NOT_EMPTY");
    expect(await contentOf(pair.source, notes)).to.deep.equal(before);
    expect((await readEpochs(pair.east.control)).at(-1)?.epoch, "no epoch was claimed").to.equal(2);
  });

  it("the region that stepped down follows back by itself, also what is new since, and so on after each further switchover", async () => {
    await begin();
    let active: RegionName = "east";
    for (const to of ["west", "east", "west"] as const) {
      stacks = new FakeStacks(pair[to].control, regionNamed(to));
      await planAndSwitchOver(await request(`to-${to}`, { to }));
      [active] = [to];
      await write();
      const client = clientOf(active === "east" ? pair.sourceServer : pair.standbyServer);
      const fresh = `fresh-${nextId}`;
      await client.createCollection(fresh, { vectors: { size: 4, distance: "Dot" } });
      await (await followed(peerOf(active))).cycle("exact");
      for (const name of [notes, fresh]) {
        const [there, here] = [await contentOf(databaseOf("east"), name), await contentOf(databaseOf("west"), name)];
        expect(there, name).to.deep.equal(here);
      }
    }
  });

  it("what clients of a region wrote after it became active again is its own: a record of before lets nobody replace it", async () => {
    await begin();
    await planAndSwitchOver(await request("there"));
    stacks = new FakeStacks(pair.east.control, regionNamed("east"));
    await (await followed("east")).cycle("exact");
    await planAndSwitchOver(await request("back", { to: "east" }));
    // Nothing of this reached the other region when it took over.
    await write();
    const before = await contentOf(pair.source, notes);
    for (const { control } of [pair.east, pair.west]) await claimEpoch(control, epochOf(4, "west"));
    expect(await codeOf((await followed("east")).cycle("exact"))).to.equal("TARGET_NOT_EMPTY");
    expect(await contentOf(pair.source, notes)).to.deep.equal(before);
  });

  it("what a region held as it was about to step down is its own when the switchover was aborted and its store does not know", async () => {
    await begin();
    await planAndSwitchOver(await request("there"));
    // Only the other region's store has the epoch by which it was aborted, and this region served on.
    pair.east.control.objects.delete(controlLayout.epoch(2));
    for (const { control } of [pair.east, pair.west]) await claimEpoch(control, epochOf(3, "west"));
    await clientOf(pair.sourceServer).upsert(notes, { wait: true, points: [{ id: 9_000, vector: [1, 2, 3, 4] }] });
    const before = await contentOf(pair.source, notes);
    expect(await codeOf((await followed("east")).cycle("exact"))).to.equal("TARGET_NOT_EMPTY");
    expect(await contentOf(pair.source, notes)).to.deep.equal(before);
  });

  it("succeeds at the first try while the standby's replicator is started again and again, and a client writes", async () => {
    await begin();
    const ended = new AbortController();
    let starts = 0;
    const replicator = (async () => {
      while (!ended.signal.aborted) {
        const replication = await followed("west");
        // As long as a pod lives that is killed at any moment: none of its promises is waited for.
        const cycle = replication.cycle().catch(() => undefined);
        await Promise.race([cycle, sleep(150)]);
        starts += 1;
        await sleep(20);
      }
    })();
    const writer = (async () => {
      while (!ended.signal.aborted) {
        await write();
        await sleep(50);
      }
    })();
    const report = await planAndSwitchOver(await request("run-1")).finally(() => ended.abort());
    await Promise.all([replicator, writer]);
    expect(report).to.include({ epoch: 2, mode: "switchover", dataLossSeconds: 0 });
    expect(starts, "starts of the replicator").to.be.greaterThan(3);
    await expectDone("in the end");
  });

  it("replication waits while a failover lives, and goes on by itself after it has died or was aborted", async () => {
    await begin();
    const replication = await followed("west");
    await replication.cycle();
    const killed = await errorOf(
      planAndSwitchOver(
        await request("run-1", {
          async hooks({ step, when }) {
            if (step !== "fence" || when !== "before") return;
            const refusal = await errorOf((await followed("west")).cycle());
            expect(refusal?.code).to.equal("EPOCH_CONFLICT");
            expect(refusal?.message).to.contain("a failover to west is under way (epoch 2");
            expect(await codeOf(replication.cycle()), "overtaken").to.equal("EPOCH_CONFLICT");
            throw new DrError("HOOK_FAILED", "not approved");
          },
        }),
      ),
    );
    expect(killed?.code).to.equal("HOOK_FAILED");
    await write();
    await replication.cycle("exact");
    expect(await pair.differences(notes)).to.deep.equal([]);
  });
});
