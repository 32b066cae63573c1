/** Steps of a role change by themselves: what they wait for, and what they refuse. */
import { expect } from "chai";
import type { RecoveryPoint } from "../../runtime/domain/recovery-points/recovery-point.ts";
import { leaseEndsAfter } from "../../runtime/domain/roles/gate.ts";
import type { Gate, GateState } from "../../runtime/ports/gate.ts";
import { claimEpoch } from "../../runtime/repository/control/epochs.ts";
import { readOpening } from "../../runtime/repository/control/gate-records.ts";
import { Lease } from "../../runtime/repository/control/lease.ts";
import { Findings } from "../../runtime/workflows/failover/findings.ts";
import type { FailoverPlan, ResumePlan } from "../../runtime/workflows/failover/plan-failover.ts";
import { drain } from "../../runtime/workflows/failover/steps/drain.ts";
import { endLeaseStep } from "../../runtime/workflows/failover/steps/end-lease.ts";
import { moveTraffic } from "../../runtime/workflows/failover/steps/move-traffic.ts";
import { openGate } from "../../runtime/workflows/failover/steps/open-gate.ts";
import { promote } from "../../runtime/workflows/failover/steps/promote.ts";
import { stepDown } from "../../runtime/workflows/failover/steps/step-down.ts";
import { FakeStacks, FakeTraffic } from "../support/estates/fake-region.ts";
import { silently, storesWithEpoch } from "../support/estates/recovery-estate.ts";
import { codeOf, errorOf } from "../support/expect-code.ts";
import { MemoryStore } from "../support/servers/memory-store.ts";
import { SimulatedClock } from "../support/time/simulated-clock.ts";

const recoveryPoint: RecoveryPoint = {
  format: 1,
  id: "served",
  type: "full",
  kinds: ["qdrant"],
  region: "east",
  epoch: 1,
  toolVersion: "0",
  startedAt: "2026-01-01T00:00:00.000Z",
  time: "2026-01-01T00:00:00.000Z",
  finishedAt: "2026-01-01T00:00:00.000Z",
  qdrantVersion: "1.16.3",
  aliases: [],
  folders: [],
  collections: [],
};

const plan: FailoverPlan = {
  kind: "failover",
  region: "west",
  from: "east",
  epoch: 2,
  gateMode: "consistency",
  plannedAt: new Date("2026-01-01T00:01:00.000Z"),
  plannedAtMs: 0,
  serveFrom: { recoveryPoint, asOf: new Date("2026-01-01T00:00:00.000Z"), isWarm: true, absent: [] },
  dataLossSeconds: 60,
  dataLossSecondsOf: {},
};
const resumed: ResumePlan = { ...plan, kind: "resume", mode: "switchover", stepsDown: true, hasEnded: false };

/** Answers one state after the other, and the last of them from then on. */
class ScriptedGate implements Gate {
  readonly #states: Partial<GateState>[];

  constructor(...states: Partial<GateState>[]) {
    this.#states = states;
  }

  state(): Promise<GateState> {
    return this.look();
  }

  async look(): Promise<GateState> {
    const next = this.#states.length > 1 ? this.#states.shift() : this.#states[0];
    return { isOpen: false, mode: "consistency", reason: "of a test", inFlight: 0, cut: 0, silent: [], ...next };
  }
}

describe("drain", () => {
  const settled: string[] = [];
  const database = {
    collections: async () => ["notes", "archive"],
    async settle(name: string) {
      settled.push(name);
    },
  };
  const context = (clock: SimulatedClock, gate: Gate | undefined) => ({
    request: { clock, active: { region: "east", gate, database } },
  });

  it("waits until the gate is closed and every request has its answer, then until accepted writes are applied", async () => {
    const clock = new SimulatedClock();
    const gate = new ScriptedGate({ isOpen: true }, { inFlight: 2 }, { inFlight: 1 }, { inFlight: 0, cut: 1 });
    const said = await clock.run(drain.run(context(clock, gate)));
    expect(said).to.equal("closed and empty; 1 requests took too long");
    expect(settled.splice(0)).to.deep.equal(["notes", "archive"]);
    expect(clock.monotonic(), "one look after another").to.be.greaterThan(0);
  });

  it("says whether a gate that does not drain in time is open or has requests under way", async () => {
    for (const [state, message] of [
      [{ isOpen: true, reason: "its store hangs" }, "the gate of east is open: its store hangs"],
      [{ inFlight: 3 }, "the gate of east is not empty: 3 requests are under way"],
      [
        { silent: ["the gate's control at http://two does not answer"] },
        "a replica of the gate of east gives no answer: the gate's control at http://two does not answer",
      ],
    ] as const) {
      const clock = new SimulatedClock();
      const error = await errorOf(clock.run(drain.run(context(clock, new ScriptedGate(state)))));
      expect([error?.code, error?.message]).to.deep.equal(["UNREACHABLE", message]);
    }
    expect(settled).to.deep.equal([]);
  });

  it("refuses a region without a gate: nothing could stop its writes", async () => {
    expect(await codeOf(drain.run(context(new SimulatedClock(), undefined)))).to.equal("NOT_SUPPORTED");
  });
});

describe("end the lease, open the gate", () => {
  const opened = (control: MemoryStore) => readOpening(control, plan.epoch);

  function contextWith(clock: SimulatedClock, gate: Gate | undefined, witness?: MemoryStore) {
    const control = storesWithEpoch().control;
    const database = { describe: unexpected, setOptimizationThreads: unexpected };
    const request = {
      clock,
      gate,
      witness,
      run: "run-1",
      database,
      repository: { stores: { control }, readFacts: unexpected },
    };
    return { control, context: { request, plan, findings: new Findings(plan) } };
  }

  async function unexpected(): Promise<never> {
    throw new Error("nothing is asked of it");
  }

  it("writes the opening when the other region's lease has run out, and not before", async () => {
    const clock = new SimulatedClock();
    const witness = new MemoryStore();
    await new Lease(witness, { region: "east", seconds: 10, clock }).renew(1);
    const { context, control } = contextWith(clock, new ScriptedGate({ isOpen: true, epoch: 2 }), witness);
    await endLeaseStep.run(context);
    const opening = openGate.run(context);
    await clock.advance(1000 * leaseEndsAfter(10) - 1);
    expect(await opened(control), "a moment before").to.equal(undefined);
    await clock.advance(2);
    await opening;
    expect(await opened(control)).to.include({ region: "west", epoch: 2, recoveryPoint: "served" });
  });

  it("ends the lease also of a region that has seen none of the switchovers that were aborted since, and waits for the longest", async () => {
    const clock = new SimulatedClock();
    const witness = new MemoryStore();
    const { context, control } = contextWith(clock, undefined, witness);
    for (const epoch of [2, 3]) {
      const at = clock.now().toISOString();
      await claimEpoch(control, { epoch, active: "east", previous: "east", reason: "aborted", run: "r", at });
    }
    const unaware = new Lease(witness, { region: "east", seconds: 20, clock });
    await unaware.renew(1);
    await new Lease(witness, { region: "east", seconds: 10, clock }).renew(3);
    const { findings } = context;
    await endLeaseStep.run({ ...context, plan: { ...plan, epoch: 4 } });
    expect(findings.leaseEndsAtMs).to.equal(1000 * leaseEndsAfter(20));
    await clock.advance(20_000);
    await unaware.renew(1);
    expect(unaware.isHeld(1)).to.equal(false);
  });

  it("asks Qdrant nothing again when an earlier run has opened: clients may have deleted what was served", async () => {
    const clock = new SimulatedClock();
    const { context } = contextWith(clock, undefined);
    await openGate.run(context);
    const collection = { name: "notes", key: "k", facts: "f".repeat(64) };
    const collections = [{ ...collection, pointsBefore: 0, pointsAfter: 0, shards: [] }];
    context.findings.serveFrom = { ...plan.serveFrom, recoveryPoint: { ...recoveryPoint, collections } };
    expect(await openGate.run(context)).to.equal("opened by an earlier run");
  });

  it("ends a lease after a failover only: the gate of a region that stepped down was seen closed", () => {
    const witness = new MemoryStore();
    const applies = (one: FailoverPlan | ResumePlan, at: MemoryStore | undefined) =>
      endLeaseStep.applies?.({
        request: { clock: new SimulatedClock(), witness: at, repository: { stores: storesWithEpoch() } },
        plan: one,
        findings: new Findings(one),
      });
    expect(applies(plan, witness)).to.equal(true);
    expect(applies({ ...resumed, mode: "failover" }, witness)).to.equal(true);
    expect(applies(resumed, witness)).to.equal(false);
    expect(applies(plan, undefined), "gates that work without leases").to.equal(false);
  });

  it("is over when the gate is seen open in this epoch: an older one does not count", async () => {
    const clock = new SimulatedClock();
    const gate = new ScriptedGate({ isOpen: true, epoch: 1 }, { isOpen: false, epoch: 2 }, { isOpen: true, epoch: 2 });
    const { context } = contextWith(clock, gate);
    expect(await clock.run(openGate.verify?.(context) ?? expect.fail("it verifies"))).to.equal("open in epoch 2");
    expect(context.findings.openedAtMs).to.equal(clock.monotonic());
  });

  it("says why a gate stays closed", async () => {
    const clock = new SimulatedClock();
    const { context } = contextWith(clock, new ScriptedGate({ reason: "it holds no lease" }));
    const error = await errorOf(clock.run(openGate.verify?.(context) ?? expect.fail("it verifies")));
    expect(error?.message).to.equal("the gate of west stays closed: it holds no lease");
    expect(context.findings.openedAtMs).to.equal(undefined);
  });
});

describe("move traffic, promote, step down", () => {
  it("refuse an endpoint that leads elsewhere afterwards", async () => {
    const traffic = new FakeTraffic();
    await moveTraffic.run({ plan, request: { traffic } });
    expect(await moveTraffic.verify?.({ plan, request: { traffic } })).to.equal("the endpoint leads to west");
    traffic.target = { region: "east", epoch: 3 };
    const elsewhere = moveTraffic.verify?.({ plan, request: { traffic } });
    expect(await codeOf(elsewhere ?? expect.fail("it verifies"))).to.equal("EPOCH_CONFLICT");
  });

  it("refuse a stack that is not active in this epoch after its update", async () => {
    const stacks = new FakeStacks(storesWithEpoch().control);
    const context = { plan, request: { stack: "west", stacks, progress: silently } };
    expect(await promote.run(context)).to.equal("1 update");
    const standby = promote.verify?.(context) ?? expect.fail("it verifies");
    expect(await codeOf(standby)).to.equal("PULUMI_FAILED");
  });

  it("leave the stack of a lost region alone", () => {
    const request = { stacks: new FakeStacks(storesWithEpoch().control), progress: silently };
    expect(stepDown.applies?.({ plan, request })).to.equal(false);
    expect(stepDown.applies?.({ plan: resumed, request })).to.equal(true);
    expect(stepDown.applies?.({ plan: { ...resumed, stepsDown: false }, request })).to.equal(false);
  });
});
