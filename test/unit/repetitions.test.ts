import { expect } from "chai";
import { repetitions } from "../../runtime/adapters/stores/repetitions.ts";
import { WorthRepeating } from "../../runtime/adapters/stores/worth-repeating.ts";
import { DrError } from "../../runtime/errors.ts";
import { codeOf } from "../support/expect-code.ts";
import { SimulatedClock } from "../support/time/simulated-clock.ts";

const brokenOff = new DrError("STORE_REFUSED", "it broke off", { cause: new WorthRepeating("half a body") });
const busy = new DrError("STORE_REFUSED", "slow down", { cause: new WorthRepeating("503", {}, "busy") });
const refused = new DrError("STORE_REFUSED", "the server is ill");

/** A request that fails so, one error after the other, and then succeeds. */
function failing(...errors: readonly DrError[]) {
  const left = [...errors];
  const asked = { times: 0 };
  const act = async () => {
    asked.times += 1;
    const error = left.shift();
    if (error !== undefined) throw error;
    return "done";
  };
  return { asked, act };
}

describe("repetitions of a store's requests", () => {
  it("bring what the third attempt brings when answers break off, and no fourth is made", async () => {
    for (const failures of [0, 1, 2, 3]) {
      const clock = new SimulatedClock();
      const { act, asked } = failing(...Array.from({ length: failures }, () => brokenOff));
      const outcome = clock.run(repetitions(clock)(act));
      if (failures < 3) expect(await outcome).to.equal("done");
      else expect(await codeOf(outcome)).to.equal("STORE_REFUSED");
      expect(asked.times).to.equal(Math.min(3, failures + 1));
    }
  });

  it("are as many as they are limited to", async () => {
    const clock = new SimulatedClock();
    const { act, asked } = failing(brokenOff);
    expect(await codeOf(clock.run(repetitions(clock, { attempts: 1 })(act)))).to.equal("STORE_REFUSED");
    expect(asked.times).to.equal(1);
  });

  it("are not made of what the store does not call worth it: the client library has repeated that", async () => {
    const clock = new SimulatedClock();
    const { act, asked } = failing(refused);
    expect(await codeOf(clock.run(repetitions(clock)(act)))).to.equal("STORE_REFUSED");
    expect(asked.times).to.equal(1);
  });

  it("go on while the store is busy, ever more slowly, and end within a minute", async () => {
    for (const [isFor, outcome] of [
      [30_000, "done"],
      [Number.POSITIVE_INFINITY, "STORE_REFUSED"],
    ] as const) {
      const clock = new SimulatedClock();
      let asked = 0;
      const act = async () => {
        asked += 1;
        if (clock.monotonic() < isFor) throw busy;
        return "done";
      };
      const ended = clock.run(repetitions(clock)(act));
      expect(outcome === "done" ? await ended : await codeOf(ended)).to.equal(outcome);
      expect(clock.monotonic()).to.be.within(outcome === "done" ? 30_000 : 40_000, 60_000);
      expect(asked).to.be.lessThan(30);
    }
  });

  it("are not made of a busy store's answers by who cannot wait", async () => {
    const clock = new SimulatedClock();
    const { act, asked } = failing(busy);
    expect(await codeOf(clock.run(repetitions(clock, { busyMs: 0 })(act)))).to.equal("STORE_REFUSED");
    expect(asked.times).to.equal(1);
  });
});
