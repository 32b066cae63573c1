import { expect } from "chai";
import fc from "fast-check";
import { DrError, hasCode } from "../../runtime/errors.ts";
import { waitAtMost, waitUntil } from "../../runtime/time/wait-until.ts";
import { SimulatedClock } from "../support/time/simulated-clock.ts";

const errorOf = (outcome: Promise<unknown>): Promise<unknown> =>
  outcome.then(
    () => {
      throw new Error("it did not fail");
    },
    (error: unknown) => error,
  );

describe("wait until", () => {
  it("answers what the probe found, at the first look that finds it, and never looks after the deadline", async () => {
    const times = fc.record({ withinMs: fc.nat(10_000), everyMs: fc.integer({ min: 1, max: 3_000 }) });
    await fc.assert(
      fc.asyncProperty(times, fc.nat(12_000), async ({ everyMs, withinMs }, readyAt) => {
        const clock = new SimulatedClock();
        const looks: number[] = [];
        const found = clock.run(
          waitUntil(clock, { what: "it", withinMs, everyMs }, (leftMs) => {
            looks.push(clock.monotonic());
            expect(leftMs).to.equal(withinMs - clock.monotonic());
            return clock.monotonic() >= readyAt && `ready at ${clock.monotonic()}`;
          }),
        );
        if (readyAt <= withinMs) expect(await found).to.equal(`ready at ${looks.at(-1)}`);
        else expect(hasCode(await errorOf(found), "TIMED_OUT")).to.equal(true);
        expect(looks.at(-1)).to.be.at.most(Math.min(withinMs, Math.max(0, readyAt + everyMs)));
        // Whatever the interval, the state at the deadline is seen.
        if (readyAt > withinMs) expect(looks.at(-1)).to.equal(withinMs);
      }),
    );
  });

  it("names what was waited for, or throws the caller's error", async () => {
    const clock = new SimulatedClock();
    const wait = { what: "the gate of west to open", withinMs: 60_000, everyMs: 500 };
    const error = await errorOf(clock.run(waitUntil(clock, wait, () => undefined)));
    expect(error).to.be.instanceOf(DrError);
    expect((error as DrError).message).to.equal("waited 60 s for the gate of west to open");
    const own = new Error("the gate stays closed");
    expect(await errorOf(clock.run(waitUntil(clock, { ...wait, expired: () => own }, () => false)))).to.equal(own);
  });

  it("at most: an expired wait finds nothing, and is no error", async () => {
    const clock = new SimulatedClock();
    expect(await clock.run(waitAtMost(clock, { withinMs: 1_000, everyMs: 400 }, () => false))).to.equal(undefined);
    expect(clock.monotonic()).to.equal(1_000);
    expect(await clock.run(waitAtMost(clock, { withinMs: -1, everyMs: 400 }, () => "at once"))).to.equal("at once");
  });

  it("lets the probe's own error pass, and is not misled by the time of day", async () => {
    const clock = new SimulatedClock();
    const refusal = new Error("refused");
    let looks = 0;
    const wait = waitUntil(clock, { what: "it", withinMs: 10_000, everyMs: 100 }, async () => {
      looks += 1;
      clock.setTimeOfDay(new Date(0));
      if (looks === 50) throw refusal;
      return undefined;
    });
    expect(await errorOf(clock.run(wait))).to.equal(refusal);
    expect(looks).to.equal(50);
  });

  it("ends at once when it is cancelled, and does not look when it was cancelled before", async () => {
    const clock = new SimulatedClock();
    const stop = new AbortController();
    let looks = 0;
    const wait = { what: "it", withinMs: 60_000, everyMs: 10_000, signal: stop.signal };
    const look = () => {
      looks += 1;
      return undefined;
    };
    const waiting = errorOf(waitUntil(clock, wait, look));
    await clock.advance(15_000);
    stop.abort("interrupted");
    expect(await waiting).to.equal("interrupted");
    expect(await errorOf(waitUntil(clock, wait, look))).to.equal("interrupted");
    expect([looks, clock.sleepers]).to.deep.equal([2, 0]);
  });
});
