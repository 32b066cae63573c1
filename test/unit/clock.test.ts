/** Both clocks keep the port's promises; the simulated one tells of a sleep that nobody ends. */
import { expect } from "chai";
import { systemClock } from "../../runtime/time/system-clock.ts";
import { SimulatedClock } from "../support/time/simulated-clock.ts";

const reasonOf = (sleep: Promise<void>) => sleep.catch((reason: unknown) => reason);

describe("a clock", () => {
  for (const [name, clock] of [
    ["of the system", systemClock],
    ["that is simulated", new SimulatedClock()],
  ] as const) {
    it(`${name} ends a sleep with the signal's reason as soon as it is aborted, also before it begins`, async () => {
      const stop = new AbortController();
      const asleep = reasonOf(clock.sleep(3_600_000, stop.signal));
      stop.abort("enough");
      expect(await asleep).to.equal("enough");
      expect(await reasonOf(clock.sleep(3_600_000, stop.signal))).to.equal("enough");
    });
  }

  it("of the system sleeps as long as is asked, and its timer ends what is longer than a timer can be", async () => {
    const begun = systemClock.monotonic();
    await systemClock.sleep(20);
    expect(systemClock.monotonic() - begun).to.be.at.least(19);
    const stop = new AbortController();
    let isAwake = false;
    const forty = systemClock.sleep(40 * 86_400_000, stop.signal).then(() => (isAwake = true));
    await systemClock.sleep(20);
    stop.abort("enough");
    expect(await forty.catch((reason: unknown) => reason)).to.equal("enough");
    expect(isAwake).to.equal(false);
  });

  it("that is simulated wakes sleepers in their order, also those who fall asleep meanwhile", async () => {
    const clock = new SimulatedClock();
    const woken: string[] = [];
    const wakes = async (name: string, ...delays: number[]) => {
      for (const delay of delays) {
        await clock.sleep(delay);
        woken.push(`${name} at ${clock.monotonic()}`);
      }
    };
    const all = [wakes("one", 30), wakes("two", 10, 10, 30), wakes("three", 20)];
    await clock.advance(40);
    expect(woken).to.deep.equal(["two at 10", "three at 20", "two at 20", "one at 30"]);
    expect([clock.monotonic(), clock.sleepers]).to.deep.equal([40, 1]);
    await clock.advance(10);
    await Promise.all(all);
    expect(woken.at(-1)).to.equal("two at 50");
  });

  it("that is simulated keeps its monotonic time when the time of day is set back", async () => {
    const clock = new SimulatedClock({ start: new Date("2026-06-01T12:00:00Z") });
    await clock.advance(1_000);
    clock.setTimeOfDay(new Date("2026-06-01T11:00:00Z"));
    await clock.advance(1_000);
    expect(clock.monotonic()).to.equal(2_000);
    expect(clock.now().toISOString()).to.equal("2026-06-01T11:00:01.000Z");
  });

  it("that is simulated fails a sleep that nobody ends", async () => {
    const forgotten = await reasonOf(new SimulatedClock({ unattendedMs: 5 }).sleep(100));
    expect(String(forgotten)).to.contain("a sleep of 100 ms of a simulated clock does not end");
  });
});
