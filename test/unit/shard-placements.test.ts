import { expect } from "chai";
import { ShardPlacements } from "../../runtime/workflows/capture/shard-placements.ts";
import { errorOf } from "../support/expect-code.ts";
import { SimulatedClock } from "../support/time/simulated-clock.ts";

const moving = { shards: [], movements: ["shard 0 moves"], absent: 0 };
const progress = () => undefined;

describe("the wait for shards that move", () => {
  it("ends when they stay, and is refused after ten minutes", async () => {
    const clock = new SimulatedClock();
    const layouts = [moving, { shards: [], movements: [], absent: 0 }];
    const staying = new ShardPlacements({
      clock,
      progress,
      database: { layout: async () => layouts.shift() ?? moving },
    });
    expect(await clock.run(staying.current("notes"))).to.deep.equal([]);
    expect(clock.monotonic()).to.equal(500);
    const never = new ShardPlacements({ clock, progress, database: { layout: async () => moving } });
    expect((await errorOf(clock.run(never.current("notes"))))?.code).to.equal("CAPTURE_INCOMPLETE");
    expect(clock.monotonic()).to.equal(600_500);
  });

  it("ends with the reason of its signal as soon as that is aborted", async () => {
    const stopping = new AbortController();
    const clock = new SimulatedClock();
    const database = { layout: async () => moving };
    const waiting = new ShardPlacements({ clock, progress, database, signal: stopping.signal }).current("notes");
    const outcome = waiting.catch((error: unknown) => error);
    await clock.advance(1_000);
    stopping.abort();
    expect(await outcome).to.equal(stopping.signal.reason);
  });
});
