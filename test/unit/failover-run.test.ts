/** How a run does a step: recorded before it acts, probed, verified, and done again or not by a later run. */
import { expect } from "chai";
import type { TimedStep } from "../../runtime/domain/timed-step.ts";
import { DrError } from "../../runtime/errors.ts";
import { FailoverRun } from "../../runtime/workflows/failover/failover-run.ts";
import { failoverSteps, switchoverSteps } from "../../runtime/workflows/failover/step-lists.ts";
import { stepNames } from "../../runtime/workflows/failover/step-names.ts";
import type { Step } from "../../runtime/workflows/failover/steps/step.ts";
import { silently } from "../support/estates/recovery-estate.ts";
import { codeOf } from "../support/expect-code.ts";
import { MemoryStore } from "../support/servers/memory-store.ts";
import { SimulatedClock } from "../support/time/simulated-clock.ts";

const plan = { region: "west", epoch: 2, plannedAt: new Date("2026-01-01T00:00:00.000Z"), plannedAtMs: 0 };

describe("a run of a role change", () => {
  let control: MemoryStore;
  let clock: SimulatedClock;
  let stops: (() => void)[];

  beforeEach(() => {
    control = new MemoryStore();
    clock = new SimulatedClock();
    stops = [];
  });

  afterEach(() => {
    for (const stop of stops) stop();
  });

  /** Owns the role change at once: the run before it is known to be dead. */
  async function begin(id: string, onStep?: (step: TimedStep) => void): Promise<FailoverRun> {
    const runner = { mark: id, isDead: (mark: string) => mark !== id };
    const run = new FailoverRun({ control, run: id, runner, clock, progress: silently, onStep }, plan);
    stops.push(await run.records.takeOver());
    return run;
  }

  const recorded = () => [...control.objects.keys()].filter((key) => /\.(started|done)\./.test(key));

  function step(repeat: Step<string[]>["repeat"], more: Partial<Step<string[]>> = {}): Step<string[]> {
    return {
      name: "restore",
      title: "Restore",
      repeat,
      async run(done) {
        done.push("ran");
        return "restored";
      },
      ...more,
    };
  }

  it("records a step before it acts, and its outcome afterwards", async () => {
    const run = await begin("run-1");
    const before: string[][] = [];
    const observed = step("always", {
      async run() {
        before.push(recorded());
        return "acted";
      },
    });
    await run.all([observed], []);
    expect(before).to.have.lengthOf(1);
    expect(before[0]?.map((key) => /restore\.\w+/.exec(key)?.[0])).to.deep.equal(["restore.started"]);
    expect(recorded().map((key) => /restore\.\w+/.exec(key)?.[0])).to.deep.equal(["restore.started", "restore.done"]);
  });

  it("leaves a step alone whose probe finds nothing to do, and says what it found", async () => {
    const told: string[] = [];
    const run = await begin("run-1", ({ detail }) => told.push(detail));
    const done: string[] = [];
    const verify = async () => {
      done.push("verified");
      return undefined;
    };
    await run.all([step("always", { probe: async () => "opened already", verify })], done);
    expect(done).to.deep.equal([]);
    expect(told).to.deep.equal(["opened already"]);
  });

  it("acts when the probe finds work, and reports what the step did and what it came to", async () => {
    const run = await begin("run-1");
    const done: string[] = [];
    const verify = async (context: string[]) => `seen after ${context.join()}`;
    await run.all([step("always", { probe: async () => undefined, verify })], done);
    expect(run.steps.map(({ detail }) => detail)).to.deep.equal(["restored; seen after ran"]);
  });

  it("does not count a step as done that does not verify, and does nothing after it", async () => {
    const run = await begin("run-1");
    const done: string[] = [];
    const verify = async () => {
      throw new DrError("VERIFICATION_FAILED", "it is something else");
    };
    const both = [step("once", { verify }), step("always", { name: "open" })];
    expect(await codeOf(run.all(both, done))).to.equal("VERIFICATION_FAILED");
    expect(done).to.deep.equal(["ran"]);
    expect(await run.records.done()).to.deep.equal(new Set());

    const later = await begin("run-2");
    await later.all([step("once")], done);
    expect(done, "the next run does it again").to.deep.equal(["ran", "ran"]);
    expect(later.wasDoneBefore("restore")).to.equal(false);
  });

  it("does not do a step again that an earlier run did once, but does again what is done always", async () => {
    const done: string[] = [];
    const list = [step("once"), step("always", { name: "open" })];
    await (await begin("run-1")).all(list, done);
    const later = await begin("run-2");
    await later.all(list, done);
    expect(done).to.have.lengthOf(3);
    expect(later.wasDoneBefore("restore")).to.equal(true);
    expect(later.wasDoneBefore("open")).to.equal(false);
    expect(later.steps.map(({ detail }) => detail)).to.deep.equal(["done by an earlier run", "restored"]);
  });

  it("goes on after a best effort that failed, and says why it failed", async () => {
    const run = await begin("run-1");
    const done: string[] = [];
    const failing = step("bestEffort", {
      name: "step-down",
      async run() {
        throw new DrError("PULUMI_FAILED", "its backend is lost");
      },
    });
    await run.all([failing, step("always")], done);
    expect(run.steps.map(({ detail }) => detail)).to.deep.equal(["not done: its backend is lost", "restored"]);
    expect(await run.records.done(), "a later run tries it again").to.deep.equal(new Set(["restore"]));
  });

  it("neither records nor names a step that does not apply", async () => {
    const run = await begin("run-1");
    const done: string[] = [];
    await run.all([step("always", { applies: (context) => context.length > 0 })], done);
    expect(run.steps).to.deep.equal([]);
    expect(recorded()).to.deep.equal([]);
  });

  it("stops before a step when another run has taken over", async () => {
    const stale = await begin("run-1");
    await begin("run-2");
    const done: string[] = [];
    expect(await codeOf(stale.all([step("always")], done))).to.equal("EPOCH_CONFLICT");
    expect(done).to.deep.equal([]);
  });

  it("measures a step and the whole run by the clock that nobody sets", async () => {
    const run = await begin("run-1");
    const slow = step("always", {
      async run() {
        clock.setTimeOfDay(new Date("2020-01-01T00:00:00.000Z"));
        await clock.sleep(1_500);
        return "slept";
      },
    });
    await clock.run(run.all([slow], []));
    expect(run.steps.map(({ seconds }) => seconds)).to.deep.equal([1.5]);
    expect(run.seconds).to.equal(1.5);
  });
});

describe("the steps of role changes", () => {
  it("are those that hooks can be hung on", () => {
    const { claimed, fenced, serving } = switchoverSteps;
    const names = [...serving, ...fenced, ...claimed, ...failoverSteps].map(({ name }) => name);
    expect([...new Set(names)].sort()).to.deep.equal([...stepNames].sort());
  });

  it("open a region only when it holds what was verified, and move clients only there", () => {
    const { claimed, fenced, serving } = switchoverSteps;
    for (const list of [[...serving, ...fenced, ...claimed], failoverSteps]) {
      const names = list.map(({ name }) => name);
      const inOrder = ["epoch", "restore", "verify", "open", "traffic", "promote", "step-down"] as const;
      expect(names.filter((name) => inOrder.some((other) => other === name))).to.deep.equal(inOrder);
    }
    expect(fenced.map(({ name }) => name)).to.deep.equal(["fence", "drain", "last-writes", "compare", "epoch"]);
    expect(failoverSteps.map(({ name }) => name).slice(0, 2)).to.deep.equal(["epoch", "lease"]);
  });
});
