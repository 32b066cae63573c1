import { expect } from "chai";
import { Tiers } from "../../runtime/domain/settings/tiers.ts";
import { DueCollections } from "../../runtime/workflows/replicate/due-collections.ts";

const tiers = new Tiers({ everySeconds: 2, tiers: { "archive-*": 60, "archive-hot": 5, now: 1 } });

describe("tiers of replication", () => {
  it("a collection is captured as often as its tier says, of several the most frequent one, and otherwise as all are", () => {
    const names = ["notes", "archive-2024", "archive-hot", "now"];

    expect(names.map((name) => tiers.secondsOf(name))).to.deep.equal([2, 60, 5, 1]);
    expect(new Tiers({ everySeconds: 60, tiers: { "docs[1]": 2 } }).secondsOf("docs[1]"), "a name").to.equal(2);
    expect(tiers.unmatchedBy(names), "of all there are").to.deep.equal([]);
    expect(tiers.unmatchedBy(["notes", "now"])).to.deep.equal(["archive-*", "archive-hot"]);
    expect([tiers.shortestSeconds, tiers.longestSeconds]).to.deep.equal([1, 60]);
  });
});

describe("collections that are due", () => {
  const at = (seconds: number) => seconds * 1000;
  const pointOf = (...inexact: string[]) =>
    ({ collections: inexact.map((name) => ({ name, shards: [{ isExact: false }] })) }) as never;
  const names = ["notes", "archive-2024"];

  it("all in the beginning, and each when its time is over or would be before the next time", () => {
    const due = new DueCollections(tiers);
    expect(due.of(names, at(0))).to.deep.equal(names);

    due.captured(names, at(0), pointOf());
    expect(due.of(names, at(1))).to.deep.equal([]);
    expect(due.of(names, at(1.999))).to.deep.equal(["notes"]);
    due.captured(["notes"], at(2), pointOf());
    expect(due.of(names, at(3))).to.deep.equal([]);
    expect(due.of(names, at(59))).to.deep.equal(["notes"]);
    expect(due.of(names, at(60))).to.deep.equal(names);
  });

  it("each time what is not known to be exact, until it is; and what nobody has captured", () => {
    const due = new DueCollections(tiers);
    due.captured(names, at(0), pointOf("archive-2024"));
    expect(due.of(names, at(0.5))).to.deep.equal(["archive-2024"]);

    due.captured(["archive-2024"], at(1), pointOf());
    expect(due.of([...names, "new"], at(1.1))).to.deep.equal(["new"]);
  });
});
