import { expect } from "chai";
import { Semaphore } from "../../runtime/async/semaphore.ts";

describe("a semaphore", () => {
  it("lets no more run than it has permits, the others in their order, also after failures", async () => {
    const semaphore = new Semaphore(2);
    const begun: number[] = [];
    const ends: (() => void)[] = [];
    const acts = [0, 1, 2, 3].map((number) =>
      semaphore.run(async () => {
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
    expect(await semaphore.run(async () => "free again")).to.equal("free again");
  });

  it("that is closed lets nobody begin any more, also those who wait", async () => {
    const semaphore = new Semaphore(1);
    let end: () => void = () => undefined;
    const first = semaphore.run(() => new Promise<void>((resolve) => (end = resolve)));
    const waiting = semaphore.run(async () => "never");
    const later = semaphore.run(async () => "never");
    semaphore.close(new Error("the first failure"));
    end();

    await first;
    const ends = await Promise.allSettled([waiting, later, semaphore.run(async () => "never")]);
    expect(ends.map(({ status }) => status)).to.deep.equal(["rejected", "rejected", "rejected"]);
  });
});
