import { expect } from "chai";
import fc from "fast-check";
import { CronTimes } from "../../runtime/domain/schedule/cron-times.ts";
import {
  type Attempt,
  type AttemptEnd,
  judgeSchedule,
  type ScheduleHistory,
  wantedSince,
} from "../../runtime/domain/schedule/judge-schedule.ts";
import { scheduleFinding } from "../../runtime/domain/schedule/schedule-finding.ts";

const at = (time: string) => new Date(`2026-03-0${time}:00.000Z`);

describe("times of a cron expression", () => {
  const newest: [cron: string, now: string, expected: string][] = [
    ["0 2 * * *", "2T01:59", "1T02:00"],
    ["0 2 * * *", "2T02:00", "2T02:00"],
    ["0 */4 * * *", "2T03:59", "2T00:00"],
    ["0 5 * * 0", "7T05:00", "1T05:00"],
    ["0 5 * * 0", "8T05:00", "8T05:00"],
    ["* * * * *", "2T03:59", "2T03:59"],
  ];
  for (const [cron, now, expected] of newest) {
    it(`the newest of ${cron} at ${now} is ${expected}`, () => {
      expect(new CronTimes(cron).newest(at(now))).to.deep.equal(at(expected));
    });
  }

  it("a moment before and after the minute counts as it is", () => {
    const times = new CronTimes("0 2 * * *");
    expect(times.newest(new Date(at("2T02:00").getTime() - 1))).to.deep.equal(at("1T02:00"));
    expect(times.newest(new Date(at("2T02:00").getTime() + 1))).to.deep.equal(at("2T02:00"));
  });

  it("times that were missed are counted, up to a limit", () => {
    const times = new CronTimes("0 */4 * * *");
    expect(times.countBetween(at("1T08:00"), at("2T08:00"), 100)).to.equal(5);
    expect(times.countBetween(at("1T08:00"), at("2T08:00"), 3)).to.equal(3);
  });

  it("a clock that jumps finds what it would find otherwise", () => {
    const times = new CronTimes("0 2 * * *");
    for (const now of ["2T02:00", "1T01:59", "9T12:00", "1T23:59", "2T01:59", "2T02:00", "3T01:59"])
      expect(times.newest(at(now)), now).to.deep.equal(new CronTimes("0 2 * * *").newest(at(now)));
  });
});

describe("what a schedule asks for", () => {
  const four = new CronTimes("0 */4 * * *");
  const failed = (ended: string, isRetryable = true): AttemptEnd => ({ outcome: "failed", at: at(ended), isRetryable });
  const attempt = (time: string, number: number, end?: AttemptEnd): Attempt => ({ time: at(time), number, end });
  const cases: [what: string, history: ScheduleHistory, now: string, expected: object][] = [
    ["nothing was ever done: the newest time is due", {}, "2T09:00", { state: "due", attempt: 1 }],
    ["all is done", { servedUntil: at("2T08:00") }, "2T11:59", { state: "served" }],
    ["a run by hand since then", { servedUntil: at("2T08:07") }, "2T11:59", { state: "served" }],
    ["its time comes", { servedUntil: at("2T08:00") }, "2T12:00", { state: "due", time: at("2T12:00") }],
    [
      "several times were missed: one run, for the newest",
      { servedUntil: at("1T08:00") },
      "2T09:00",
      { state: "due", time: at("2T08:00"), attempt: 1 },
    ],
    ["it runs", { newest: attempt("2T08:00", 1) }, "2T08:01", { state: "under way" }],
    ["it runs into its next time", { newest: attempt("2T08:00", 1) }, "2T12:01", { state: "under way" }],
    [
      "it failed a moment ago",
      { newest: attempt("2T08:00", 1, failed("2T08:02")) },
      "2T08:02",
      { state: "waits for another attempt", at: at("2T08:03") },
    ],
    [
      "its second attempt",
      { newest: attempt("2T08:00", 1, failed("2T08:02")) },
      "2T08:03",
      { state: "due", attempt: 2 },
    ],
    [
      "its fourth and last",
      { newest: attempt("2T08:00", 3, failed("2T08:09")) },
      "2T08:24",
      { state: "due", attempt: 4 },
    ],
    ["four failed", { newest: attempt("2T08:00", 4, failed("2T08:26")) }, "2T11:59", { state: "given up" }],
    [
      "that helps nothing",
      { newest: attempt("2T08:00", 1, failed("2T08:02", false)) },
      "2T11:59",
      { state: "given up" },
    ],
    [
      "what was given up is begun afresh at its next time",
      { newest: attempt("2T08:00", 4, failed("2T08:26")) },
      "2T12:00",
      { state: "due", attempt: 1 },
    ],
    [
      "the clock was set back since it failed",
      { newest: attempt("2T08:00", 1, failed("5T08:02")) },
      "2T08:30",
      { state: "due", attempt: 2 },
    ],
    [
      "stopped in order: the same attempt again",
      { newest: attempt("2T08:00", 2, { outcome: "interrupted" }) },
      "2T08:30",
      { state: "due", attempt: 2 },
    ],
    ["cut off", { newest: attempt("2T08:00", 1, { outcome: "cut off" }) }, "2T08:30", { state: "due", attempt: 2 }],
    [
      "cut off each time, as by what takes all memory",
      { newest: attempt("2T08:00", 4, { outcome: "cut off" }) },
      "2T08:30",
      { state: "given up" },
    ],
  ];
  for (const [what, history, now, expected] of cases) {
    it(`${what}: ${JSON.stringify(expected)}`, () => {
      expect(judgeSchedule(four, history, at(now))).to.deep.include(expected);
    });
  }

  it("whatever was done: only what nobody did since its time is due, and never anything in the future", () => {
    const crons = ["* * * * *", "*/7 * * * *", "0 */4 * * *", "0 2 * * *", "0 5 * * 0", "0 0 29 2 *"];
    const start = Date.parse("2024-01-01T00:00:00Z");
    const time = fc.integer({ min: 0, max: 3 * 365 * 24 * 60 }).map((minutes) => new Date(start + minutes * 60_000));
    fc.assert(
      fc.property(fc.constantFrom(...crons), time, time, (cron, servedUntil, now) => {
        const times = new CronTimes(cron);
        const judged = judgeSchedule(times, { servedUntil }, now);
        const newest = times.newest(now);
        const isDue = newest !== undefined && newest > servedUntil;
        expect(judged.state).to.equal(isDue ? "due" : "served");
        const wanted = wantedSince(times, { servedUntil }, now, now);
        expect(wanted !== undefined).to.equal(isDue);
        if (judged.state !== "due" || wanted === undefined) return;
        expect(judged.time <= now && judged.time > servedUntil).to.equal(true);
        expect(wanted <= judged.time && wanted > servedUntil).to.equal(true);
        // Once it is done, nothing is due until its next time.
        expect(judgeSchedule(times, { servedUntil: judged.time }, now).state).to.equal("served");
      }),
      { seed: 14, numRuns: 300 },
    );
  });
});

describe("what is told of a schedule", () => {
  const daily = new CronTimes("0 2 * * *");
  const find = (history: ScheduleHistory, now: string, { couldRunSince = "1T00:00", startedAt = "1T00:00" } = {}) =>
    scheduleFinding("full", daily, history, {
      now: at(now),
      couldRunSince: at(couldRunSince),
      startedAt: at(startedAt),
      failure: { code: "UNREACHABLE", message: "Qdrant does not answer", hint: "start it" },
    });
  const newest = (end?: AttemptEnd, number = 1): Attempt => ({ time: at("2T02:00"), number, end });

  it("it went well", () => expect(find({ servedUntil: at("2T02:00") }, "2T03:00")).to.include({ isWell: true }));
  it("nothing yet while it may still end in time", () => {
    expect(find({ servedUntil: at("1T02:00") }, "2T04:00")).to.equal(undefined);
  });
  it("silence, when it did not happen in its time", () => {
    const finding = find({ servedUntil: at("1T02:00") }, "2T04:01");
    expect(finding).to.deep.include({ event: "silence", title: "no full capture at its time" });
    expect(JSON.stringify(finding)).to.contain("2026-03-02 02:00:00 UTC");
  });
  it("no silence while the store did not let it run", () => {
    expect(find({ servedUntil: at("1T02:00") }, "3T03:30", { couldRunSince: "3T02:30" })).to.equal(undefined);
  });
  it("no silence of what was never promised", () => {
    expect(find({}, "2T12:00", { startedAt: "2T11:00" })).to.equal(undefined);
  });
  it("a failure that will be tried again is none yet", () => {
    const end: AttemptEnd = { outcome: "failed", at: at("2T02:05"), isRetryable: true };
    expect(find({ servedUntil: at("1T02:00"), newest: newest(end) }, "2T02:05")).to.equal(undefined);
  });
  it("a failure, with what to do", () => {
    const end: AttemptEnd = { outcome: "failed", at: at("2T02:05"), isRetryable: false };
    expect(find({ servedUntil: at("1T02:00"), newest: newest(end) }, "2T02:06")).to.deep.include({
      event: "failure",
      title: "the full capture failed",
      message: "Qdrant does not answer",
      hint: "start it",
    });
  });
  it("a process that is gone, at once", () => {
    const finding = find({ servedUntil: at("1T02:00"), newest: newest({ outcome: "cut off" }) }, "2T02:06");
    expect(finding).to.deep.include({ event: "failure", title: "the full capture was cut off" });
  });
  it("a run that hangs", () => {
    const history = { servedUntil: at("1T02:00"), newest: newest() };
    expect(find(history, "2T09:59")).to.equal(undefined);
    expect(find(history, "2T10:01")).to.deep.include({ event: "silence" });
  });
});
