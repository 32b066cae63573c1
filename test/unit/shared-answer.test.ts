import { expect } from "chai";
import { SharedAnswer } from "../../runtime/adapters/qdrant/shared-answer.ts";
import { SimulatedClock } from "../support/time/simulated-clock.ts";

describe("an answer that is shared", () => {
  it("is asked for after whoever wants a fresh one, and once for all who wait", async () => {
    const release: (() => void)[] = [];
    let asked = 0;
    const clock = new SimulatedClock();
    const ask = async () => {
      asked += 1;
      const answer = asked;
      await new Promise<void>((resolve) => release.push(resolve));
      return answer;
    };
    const shared = new SharedAnswer(ask, clock);
    const first = shared.fresh();
    await new Promise((resolve) => setImmediate(resolve));
    // The first request is under way: it may have been answered before these began to wait.
    const others = [shared.fresh(), shared.fresh(), shared.fresh()];
    release[0]?.();
    expect(await first).to.equal(1);
    await new Promise((resolve) => setImmediate(resolve));
    release[1]?.();
    expect(await Promise.all(others)).to.deep.equal([2, 2, 2]);
    await clock.advance(60_000);
    expect(await shared.recent(60_000)).to.equal(2);
    await clock.advance(1);
    const newer = shared.recent(60_000);
    await new Promise((resolve) => setImmediate(resolve));
    release[2]?.();
    expect(await newer, "older than it may be").to.equal(3);
  });

  it("is asked for again after a failure, which everyone who waited gets", async () => {
    let asked = 0;
    const ask = async () => {
      asked += 1;
      if (asked === 1) throw new Error("gone");
      return asked;
    };
    const shared = new SharedAnswer(ask, new SimulatedClock());
    const outcomes = await Promise.allSettled([shared.fresh(), shared.recent(0)]);
    expect(outcomes.map(({ status }) => status)).to.deep.equal(["rejected", "rejected"]);
    expect(await shared.recent(60_000)).to.equal(2);
  });
});
