import { expect } from "chai";
import { Turns } from "../../runtime/domain/at-once.ts";

describe("turns", () => {
  it("let no more act than there are, the others in their order, also after failures", async () => {
    const turns = new Turns(2);
    const begun: number[] = [];
    const ends: (() => void)[] = [];
    const acts = [0, 1, 2, 3].map((number) =>
      turns.take(async () => {
        begun.push(number);
        await new Promise<void>((resolve) => ends.push(resolve));
        if (number === 0) throw new Error("failed");
        return number;
      }),
    );
    const outcomes = Promise.allSettled(acts);
    const ticked = () => new Promise((resolve) => setImmediate(resolve));

    await ticked();
    expect(begun).to.deep.equal([0, 1]);
    ends[0]?.();
    await ticked();
    expect(begun).to.deep.equal([0, 1, 2]);
    for (const number of [1, 2]) ends[number]?.();
    await ticked();
    ends[3]?.();
    expect((await outcomes).map(({ status }) => status)).to.deep.equal([
      "rejected",
      "fulfilled",
      "fulfilled",
      "fulfilled",
    ]);
    expect(await turns.take(async () => "free again")).to.equal("free again");
  });

  it("are taken by nobody any more after their end, also by those who wait", async () => {
    const turns = new Turns(1);
    let end: () => void = () => undefined;
    const first = turns.take(() => new Promise<void>((resolve) => (end = resolve)));
    const waiting = turns.take(async () => "never");
    const later = turns.take(async () => "never");
    turns.end(new Error("the first failure"));
    end();

    await first;
    const ends = await Promise.allSettled([waiting, later, turns.take(async () => "never")]);
    expect(ends.map(({ status }) => status)).to.deep.equal(["rejected", "rejected", "rejected"]);
  });
});
