/** What a gate that was killed finds in its spool. */
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { FileSpool } from "../../runtime/adapters/gate/file-spool.ts";
import { errorOf } from "../support/expect-code.ts";

const points = (ids: readonly string[]) => ({ changes: "points", collection: "items", ids }) as const;

describe("the spool of a journal", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "qdrant-dr-spool-"));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const newest = () => join(folder, readdirSync(folder).sort().at(-1) ?? "");

  it("holds what was begun and is not done, in its order, over any number of processes", () => {
    const first = new FileSpool(folder);
    expect([first.left, first.term]).to.deep.equal([[], undefined]);
    first.remember(7);
    const numbers = [["1"], ["18446744073709551615"], ["3"]].map((ids) => first.begin(points(ids)));
    first.done([numbers[0] ?? 0]);
    const second = new FileSpool(folder);
    expect(second.left.map(({ ids }) => ids)).to.deep.equal([["18446744073709551615"], ["3"]]);
    expect(second.term).to.equal(7);
    second.done([numbers[1] ?? 0]);
    expect(second.begin({ changes: "everything" })).to.be.greaterThan(numbers[2] ?? 0);
    const third = new FileSpool(folder);
    expect(third.left.map(({ changes, ids }) => ids ?? changes)).to.deep.equal([["3"], "everything"]);
    third.done(third.left.map(({ number }) => number));
    expect(new FileSpool(folder).left).to.deep.equal([]);
  });

  it("does not grow: a file whose writes are all told is deleted", () => {
    const spool = new FileSpool(folder);
    const ids = Array.from({ length: 1_000 }, (_, id) => `${1e9 + id}`);
    const held = spool.begin(points(["1"]));
    for (let n = 0; n < 1_500; n += 1) spool.done([spool.begin(points(ids))]);
    expect(readdirSync(folder).length).to.be.greaterThan(1);
    spool.done([held]);
    spool.done([spool.begin(points(["2"]))]);
    expect(readdirSync(folder)).to.have.length(1);
    expect(statSync(newest()).size).to.be.lessThan(10_000_000);
    expect(new FileSpool(folder).left).to.deep.equal([]);
  });

  it("leaves out a last line that was cut, wherever: its write was never sent", () => {
    const spool = new FileSpool(folder);
    spool.begin(points(["1"]));
    const file = newest();
    const whole = readFileSync(file).length;
    spool.begin(points(["2", "3"]));
    for (let size = readFileSync(file).length - 1; size >= whole; size -= 1) {
      truncateSync(file, size);
      const next = new FileSpool(folder);
      expect(
        next.left.map(({ ids }) => ids),
        `${size}`,
      ).to.deep.equal([["1"]]);
      next.close();
    }
  });

  it("is not believed when it was changed", async () => {
    new FileSpool(folder).begin(points(["1"]));
    appendFileSync(newest(), '{"number":"x"}\n');
    expect((await errorOf((async () => new FileSpool(folder))()))?.code).to.equal("OBJECT_CORRUPT");
  });
});
