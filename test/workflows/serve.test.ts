/** `serve` through a week on a simulated clock: no run doubled, none forgotten, and every problem told once and once again when it is over. */
import { expect } from "chai";
import { CronTimes } from "../../runtime/domain/schedule/cron-times.ts";
import type { ScheduledKind } from "../../runtime/domain/schedule/scheduled-kinds.ts";
import type { Schedule } from "../../runtime/domain/schedule/schedules-of.ts";
import { minuteMs, SimulatedMachine, type SimulatedServe } from "../support/estates/simulated-serve.ts";
import { seeded } from "../support/seeded.ts";
import { SimulatedClock } from "../support/time/simulated-clock.ts";

const usual: readonly Schedule[] = [
  { run: "full", cron: "0 2 * * *" },
  { run: "incremental", cron: "0 */4 * * *" },
  { run: "verify", cron: "0 4 * * *" },
  { run: "test-restore", cron: "0 5 * * 0" },
  { run: "prune", cron: "30 5 * * *" },
];
const receivers = ["webhook-1", "email-1"];
const hourMs = 60 * minuteMs;
/** Kinds that are made to fail. */
const breakable: readonly ScheduledKind[] = ["verify", "incremental"];
const seed = Number(process.env["QDRANT_DR_SEED"] ?? 14);
const rounds = Number(process.env["QDRANT_DR_ROUNDS"] ?? 4);
/** A Monday. */
const monday = new Date("2026-03-02T00:00:00.000Z");
const refused = {
  code: "VERIFICATION_FAILED",
  exitCode: 12,
  message: "a pack is damaged",
  hint: "see",
  retryable: false,
};

class Week {
  readonly clock = new SimulatedClock({ start: monday, unattendedMs: 120_000 });
  readonly machine = new SimulatedMachine(this.clock);
  serve: SimulatedServe | undefined;

  start(): void {
    this.serve = this.machine.start(usual, receivers);
  }

  async until(time: string): Promise<void> {
    const left = Date.parse(`2026-03-${time}:00.000Z`) - this.clock.now().getTime();
    if (left < 0) throw new Error(`${time} is over`);
    await this.clock.advance(left);
  }

  async stop(): Promise<void> {
    await this.serve?.stop();
    this.serve = undefined;
  }

  kill(): void {
    this.serve?.kill();
    this.serve = undefined;
  }

  /** When runs of the kind that ended well began, as `02 04:00`. */
  wells(run: ScheduledKind): string[] {
    return this.machine.runs
      .filter((each) => each.run === run && each.end === "well")
      .map(({ startedAt }) => short(startedAt));
  }

  /** What the receiver was told: when, what event, of what. */
  told(receiver: string): string[] {
    return (this.machine.told.get(receiver) ?? []).map(({ at, told }) => `${short(at)} ${told.event}: ${told.title}`);
  }
}

function short(at: Date): string {
  return at.toISOString().slice(8, 16).replace("T", " ");
}

describe("serve, a week on a simulated clock", function () {
  this.timeout(120_000);

  it("a quiet week: everything once at the start, then at its time, one of a lane at once, and nobody is told anything", async () => {
    const week = new Week();
    week.start();
    await week.until("08T23:59");
    await week.stop();
    const days = ["03", "04", "05", "06", "07", "08"];
    expect(week.wells("full")).to.deep.equal(["02 00:00", "02 02:00", ...days.map((day) => `${day} 02:00`)]);
    // What reads recovery points waits for the first ones.
    expect(week.wells("verify")).to.deep.equal(["02 00:28", "02 04:00", ...days.map((day) => `${day} 04:00`)]);
    // What was never done is caught up in the order of its times, one of a lane at once.
    expect(week.wells("prune").slice(0, 2)).to.deep.equal(["02 00:20", "02 05:30"]);
    expect(week.wells("incremental").slice(0, 4)).to.deep.equal(["02 00:23", "02 04:00", "02 08:00", "02 12:00"]);
    expect(week.wells("test-restore")).to.deep.equal(["02 00:58", "08 05:00"]);
    expect(week.wells("incremental")).to.have.length(1 + 5 + 6 * 6);
    expect(week.machine.runs.every(({ end }) => end === "well")).to.equal(true);
    expect(week.told("webhook-1")).to.deep.equal([]);
    expect(week.machine.beats).to.have.length(week.machine.runs.length);
    refuseOverlaps(week.machine);
  });

  it("stopped, killed, without a store, with a clock that jumps, with a receiver that is down", async () => {
    const week = new Week();
    const { machine } = week;
    week.start();
    await week.until("03T08:02");
    // In the middle of an incremental capture.
    week.kill();
    await week.until("03T09:30");
    week.start();
    await week.until("04T00:30");
    machine.isStoreDown = true;
    machine.deaf.add("email-1");
    await week.until("04T23:00");
    machine.deaf.delete("email-1");
    await week.until("05T00:30");
    machine.isStoreDown = false;
    await week.until("05T13:00");
    await week.stop();
    await week.until("06T03:10");
    week.start();
    await week.until("06T12:07");
    const before = machine.runs.length;
    // What was done at 08:00, 10:30 and 12:00 comes again on the clock.
    week.clock.setTimeOfDay(new Date("2026-03-06T07:59:30.000Z"));
    await week.until("06T12:07");
    expect(machine.runs.length, "nothing is done again").to.equal(before);
    machine.broken.set("verify", refused);
    await week.until("07T05:00");
    machine.broken.delete("verify");
    await week.until("08T12:00");
    // A day forward, as after a machine slept.
    week.clock.setTimeOfDay(new Date("2026-03-09T12:10:00.000Z"));
    await week.until("09T23:59");
    await week.stop();

    const said = machine.log.join("\n");
    expect(
      week.wells("incremental").filter((at) => at.startsWith("03")),
      said,
    ).to.deep.equal(["03 00:00", "03 04:00", "03 09:30", "03 12:00", "03 16:00", "03 20:00"]);
    expect(
      week.wells("incremental").filter((at) => at.startsWith("04")),
      said,
    ).to.deep.equal(["04 00:00"]);
    expect(
      week.wells("full").filter((at) => at >= "04" && at < "07"),
      said,
    ).to.deep.equal(["05 00:31", "05 02:00", "06 03:15"]);
    expect(
      week.wells("incremental").filter((at) => at >= "09 12:00"),
      said,
    ).to.deep.equal(["09 12:38", "09 16:00", "09 20:00"]);
    refuseDoubles(machine);
    expect(week.told("webhook-1"), said).to.deep.equal([
      "03 09:30 failure: the incremental capture was cut off",
      "03 09:35 recovery: the incremental capture went well",
      "04 00:45 failure: the store does not answer, nothing is backed up",
      "05 00:31 recovery: the store answers again",
      "06 03:10 silence: no incremental capture at its time",
      "06 03:15 recovery: the incremental capture went well",
      "07 04:30 failure: the verification failed",
      "08 04:30 recovery: the verification went well",
      "09 12:11 silence: no full capture at its time",
      "09 12:11 silence: no incremental capture at its time",
      "09 12:11 silence: no verification at its time",
      "09 12:11 silence: no prune at its time",
      "09 12:35 recovery: the full capture went well",
      "09 12:38 recovery: the prune went well",
      "09 12:41 recovery: the verification went well",
      "09 12:43 recovery: the incremental capture went well",
    ]);
    const titles = (receiver: string) => week.told(receiver).map((line) => line.slice("00 00:00 ".length));
    expect(titles("email-1"), "who was down is told the same, later").to.deep.equal(titles("webhook-1"));
  });
});

describe("serve on a standby's machine", function () {
  this.timeout(120_000);

  it("tells nobody of captures that its role refuses, and begins them when the role is its own", async () => {
    const week = new Week();
    const { machine } = week;
    const byRole = {
      code: "ROLE_REFUSES",
      exitCode: 11,
      message: "main is not the active region",
      retryable: false,
    } as const;
    for (const run of ["full", "incremental"] as const) machine.broken.set(run, { ...byRole, hint: undefined });
    week.start();
    await week.until("04T12:01");
    expect(week.told("webhook-1"), machine.log.join("\n")).to.deep.equal([]);
    const refusals = machine.runs.filter(({ end, run }) => end === "failed" && run === "full").length;
    expect(refusals, "each is asked once").to.equal(4);
    machine.broken.clear();
    await week.until("05T12:01");
    await week.stop();
    expect(week.wells("full")).to.deep.equal(["05 02:00"]);
    expect(week.told("webhook-1"), machine.log.join("\n")).to.deep.equal([]);
  });
});

describe("serve that is started again while the store does not answer", () => {
  it("tells of it once, also when the store answered for a moment in between", async () => {
    const week = new Week();
    const { machine } = week;
    week.start();
    await week.until("02T06:10");
    machine.isStoreDown = true;
    await week.until("02T07:00");
    for (const hour of ["08", "09", "10"]) {
      week.kill();
      week.start();
      await week.until(`02T${hour}:00`);
    }
    // The record of the alert, and no more, gets through.
    machine.isStoreDown = false;
    machine.failsAfterNextAlert = true;
    await week.until("02T11:00");
    week.kill();
    week.start();
    await week.until("02T12:30");
    machine.failsAfterNextAlert = false;
    machine.isStoreDown = false;
    await week.until("02T14:00");
    await week.stop();
    const ofStore = week.told("webhook-1").filter((line) => line.includes("store"));
    expect(
      ofStore.map((line) => line.slice(9)),
      machine.log.join("\n"),
    ).to.deep.equal(["failure: the store does not answer, nothing is backed up", "recovery: the store answers again"]);
  });
});

describe("serve, whatever happens to it", function () {
  this.timeout(120_000 * rounds);

  for (let round = 0; round < rounds; round += 1) {
    it(`history ${seed + round}: nothing doubled, nothing forgotten, each problem told once and its end once`, async () => {
      const random = seeded(seed + round);
      const clock = new SimulatedClock({ start: monday, unattendedMs: 120_000 });
      const machine = new SimulatedMachine(clock);
      machine.knowsTheDead = random() < 0.5;
      const serves: SimulatedServe[] = [machine.start(usual, receivers)];
      const pick = () => serves[Math.floor(random() * serves.length)];
      const without = (serve: SimulatedServe | undefined) => serve && serves.splice(serves.indexOf(serve), 1);
      const acts: Record<string, () => Promise<unknown> | unknown> = {
        kill: () => {
          const serve = pick();
          serve?.kill();
          without(serve);
        },
        stop: () => {
          const serve = pick();
          without(serve);
          return serve?.stop();
        },
        start: () => serves.length < 2 && serves.push(machine.start(usual, receivers)),
        "start again": () => serves.length < 2 && serves.push(machine.start(usual, receivers)),
        "store goes": () => (machine.isStoreDown = true),
        "store comes": () => (machine.isStoreDown = false),
        "receiver goes": () => machine.deaf.add("email-1"),
        "receiver comes": () => machine.deaf.delete("email-1"),
        "verify breaks": () => machine.broken.set("verify", refused),
        "capture breaks": () => machine.broken.set("incremental", { ...refused, code: "UNREACHABLE", retryable: true }),
        "all is mended": () => machine.broken.clear(),
        "machine sleeps": () => clock.setTimeOfDay(new Date(clock.now().getTime() + random() * 30 * hourMs)),
      };
      for (let step = 0; step < 40; step += 1) {
        await clock.advance(Math.round(random() ** 3 * 14 * hourMs));
        const names = Object.keys(acts);
        const name = names[Math.floor(random() * names.length)] ?? "";
        machine.log.push(`${clock.now().toISOString()} ${name}`);
        await acts[name]?.();
      }
      machine.log.push(`${clock.now().toISOString()} everything is well from here on`);
      machine.isStoreDown = false;
      machine.deaf.clear();
      machine.broken.clear();
      if (serves.length === 0) serves.push(machine.start(usual, receivers));
      const wellFrom = new Date(clock.now().getTime() + 2 * hourMs);
      await clock.advance(30 * hourMs);
      for (const serve of serves) await serve.stop();

      refuseDoubles(machine);
      refuseForgotten(machine, wellFrom, clock.now());
      for (const receiver of receivers) refuseWrongAlerts(machine, receiver);
    });
  }
});

/** Each time between these was served by a run that ended well, and the one before them, unless it was given up because it failed. */
function refuseForgotten({ log, runs }: SimulatedMachine, from: Date, to: Date): void {
  for (const { cron, run } of usual) {
    const times = new CronTimes(cron);
    const wells = runs.filter((each) => each.run === run && each.end === "well");
    for (
      let time = breakable.includes(run) ? times.next(from) : times.newest(from);
      time !== undefined && time.getTime() < to.getTime() - 2 * hourMs;
      time = times.next(time)
    ) {
      const next = times.next(time) ?? to;
      const isServed = wells.some(({ startedAt }) => time !== undefined && startedAt >= time && startedAt < next);
      expect(isServed, `${run} of ${time.toISOString()} is forgotten\n${log.join("\n")}`).to.equal(true);
    }
  }
}

/** A problem, its end, a problem, its end. Who was down for more than a week is told no old news: a problem may end that it never heard of. */
function refuseWrongAlerts({ log, told }: SimulatedMachine, receiver: string): void {
  const open = new Set<string>();
  for (const { told: alert } of told.get(receiver) ?? []) {
    const { event, subject, title } = alert;
    const isOver = event === "recovery";
    const isWrong = isOver !== open.has(subject) && receiver === "webhook-1";
    expect(isWrong, `${receiver} was told ${event} of ${subject} (${title})\n${log.join("\n")}`).to.equal(false);
    if (isOver) open.delete(subject);
    else open.add(subject);
  }
  expect([...open], `${receiver} never hears that it is over\n${log.join("\n")}`).to.deep.equal([]);
}

/** Of each lane one at a time. */
function refuseOverlaps({ runs }: SimulatedMachine): void {
  for (const lane of [
    ["full", "incremental", "prune"],
    ["verify", "test-restore", "drill"],
  ]) {
    const ofLane = runs.filter(({ run }) => lane.includes(run));
    ofLane.slice(1).forEach(({ run, startedAt }, index) => {
      const before = ofLane[index];
      const isOver = before?.end === "killed" || (before?.endedAt !== undefined && before.endedAt <= startedAt);
      expect(isOver, `${run} of ${startedAt.toISOString()} beside ${before?.run}`).to.equal(true);
    });
  }
}

/** No time of a schedule is served by two runs that ended well. */
function refuseDoubles({ log, runs }: SimulatedMachine): void {
  for (const { cron, run } of usual) {
    const times = new CronTimes(cron);
    const served = runs
      .filter((each) => each.run === run && each.end === "well")
      .map((each) => times.newest(each.startedAt)?.toISOString());
    expect(served, `${run}\n${log.join("\n")}`).to.deep.equal([...new Set(served)]);
  }
}
