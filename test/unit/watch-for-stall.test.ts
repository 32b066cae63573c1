import { Readable } from "node:stream";
import { expect } from "chai";
import { StallError, watchForStall } from "../../runtime/workflows/capture/shard/watch-for-stall.ts";
import { SimulatedClock } from "../support/time/simulated-clock.ts";

describe("a watch for a stall", () => {
  const endless = () => new Readable({ read: () => undefined });

  it("looks once in each time of patience, and lets a stream go on whose server answers, be it with a refusal", async () => {
    const clock = new SimulatedClock();
    const stream = endless();
    let asked = 0;
    const end = watchForStall(
      clock,
      stream,
      async () => {
        asked += 1;
        if (asked % 2 === 0) throw new Error("refused");
      },
      5_000,
    );
    await clock.advance(50_000);
    expect([asked, stream.destroyed]).to.deep.equal([10, false]);
    end();
    await clock.advance(50_000);
    expect([asked, clock.sleepers], "after its end").to.deep.equal([10, 0]);
    stream.destroy();
  });

  it("ends a stream whose server has answered nothing for as long as patience is, and looks no more", async () => {
    const clock = new SimulatedClock();
    const stream = endless();
    let asked = 0;
    const ask = () => {
      asked += 1;
      return new Promise<never>(() => undefined);
    };
    const end = watchForStall(clock, stream, ask, 5_000);
    await clock.advance(9_999);
    expect(stream.destroyed).to.equal(false);
    await clock.advance(1);
    expect([stream.destroyed, asked]).to.deep.equal([true, 1]);
    expect(stream.errored).to.be.instanceOf(StallError);
    await clock.advance(60_000);
    expect(asked).to.equal(1);
    end();
  });
});
