import { expect } from "chai";
import fc from "fast-check";
import { forEachConcurrently } from "../../runtime/async/for-each-concurrently.ts";

const ticked = () => new Promise<void>((resolve) => setImmediate(resolve));

describe("for each concurrently", () => {
  it("calls for every item once, and never more at a time than allowed", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 3 })),
        fc.integer({ min: 1, max: 5 }),
        async (ticks, limit) => {
          const done: number[] = [];
          let [running, most] = [0, 0];
          await forEachConcurrently(limit, ticks.entries(), async ([index, count]) => {
            running += 1;
            most = Math.max(most, running);
            for (let tick = 0; tick < count; tick += 1) await ticked();
            running -= 1;
            done.push(index);
          });
          expect(done.sort((one, other) => one - other)).to.deep.equal([...ticks.keys()]);
          expect(most).to.equal(Math.min(limit, ticks.length));
        },
      ),
    );
  });

  it("begins nothing after a failure, and throws it when all that run have ended", async () => {
    const [begun, ended]: [number[], number[]] = [[], []];
    const failure = new Error("the second");
    const outcome = forEachConcurrently(2, [1, 2, 3, 4], async (item) => {
      begun.push(item);
      await ticked();
      if (item === 2) throw failure;
      await ticked();
      await ticked();
      ended.push(item);
    });
    expect(await outcome.catch((error: unknown) => error)).to.equal(failure);
    expect({ begun, ended }).to.deep.equal({ begun: [1, 2], ended: [1] });
  });
});
