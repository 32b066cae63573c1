import { expect } from "chai";
import { allParts, parts } from "../../../setup/parts.mjs";
import { fits } from "../../../setup/versions.mjs";

const range = [{ from: "3.230.0", below: "4.0.0" }];

describe("setup: version ranges", () => {
  it("takes the lowest version of a range and refuses the one above it", () => {
    expect(fits("3.230.0", range)).to.equal(true);
    expect(fits("v3.259.0", range)).to.equal(true);
    expect(fits("3.229.9", range)).to.equal(false);
    expect(fits("4.0.0", range)).to.equal(false);
  });

  it("compares numbers, not text: 3.1000 is newer than 3.230", () => {
    expect(fits("3.1000.0", range)).to.equal(true);
    expect(fits("3.31.0", range)).to.equal(false);
  });

  it("reads versions of two numbers and refuses pre-releases and nonsense", () => {
    expect(fits("4.48", [{ from: "3.90", below: "5.0" }])).to.equal(true);
    expect(fits("3.259.0-alpha.1", range)).to.equal(false);
    expect(fits("dev", range)).to.equal(false);
  });

  it("names for each tool a version that fits its own range", () => {
    for (const part of allParts) {
      if (part.id !== "packages") expect(fits(part.provides, part.range), part.id).to.equal(true);
    }
  });

  it("takes every Node that runs TypeScript as it stands, and no other", () => {
    const [node] = parts;
    if (node?.id !== "node") throw new Error("Node is the first part");
    const taken = ["22.17.1", "22.18.0", "23.5.0", "23.6.0", "24.21.0", "26.9.0", "27.0.0"].map((v) =>
      fits(v, node.range),
    );
    expect(taken).to.deep.equal([false, true, false, true, true, true, false]);
  });
});
