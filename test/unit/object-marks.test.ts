import { createHash } from "node:crypto";
import { expect } from "chai";
import { ObjectMarks } from "../../runtime/domain/history/object-marks.ts";

const idOf = (n: number) => createHash("sha256").update(String(n)).digest("hex");

describe("marks of what is needed", () => {
  it("tell what is listed, what is needed, what is missing and what has another size", () => {
    const marks = new ObjectMarks(10);
    marks.list("pack", idOf(1), 100);
    marks.list("tree", idOf(1), 50);
    marks.list("pack", idOf(2), 70_000);
    expect(marks.need("pack", idOf(1), 100)).to.equal("new");
    expect(marks.need("pack", idOf(1), 100)).to.equal("known");
    expect(marks.need("pack", idOf(2), 70_001)).to.equal("damaged");
    expect(marks.need("pack", idOf(3), 1)).to.equal("missing");
    expect(marks.isNeeded("pack", idOf(2))).to.equal(true);
    expect(marks.isNeeded("tree", idOf(1))).to.equal(false);
    expect(marks.isListed("tree", idOf(1))).to.equal(true);
    expect(marks.isListed("tree", idOf(2))).to.equal(false);
    expect(marks.marked).to.equal(2);
  });

  it("never call an object unneeded that was marked, of 200,000 in less than 4 MB", () => {
    const many = 200_000;
    const ids = Array.from({ length: many }, (_, n) => idOf(n).slice(0, 16));
    const before = process.memoryUsage().arrayBuffers;
    const marks = new ObjectMarks(many);
    for (const id of ids) marks.list("pack", id, 1);
    for (const [n, id] of ids.entries()) if (n % 10 > 0) marks.need("pack", id, 1);
    expect(process.memoryUsage().arrayBuffers - before).to.be.below(4_000_000);
    let unneeded = 0;
    for (const [n, id] of ids.entries()) {
      if (marks.isNeeded("pack", id)) continue;
      expect(n % 10, id).to.equal(0);
      unneeded += 1;
    }
    expect(unneeded).to.be.within(19_990, 20_000);
  }).timeout(20_000);
});
