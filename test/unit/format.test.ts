import { expect } from "chai";
import fc from "fast-check";
import {
  formatBytes,
  formatCount,
  formatIdRanges,
  formatSeconds,
  formatShare,
  formatTime,
} from "../../runtime/domain/format.ts";

describe("format", () => {
  it("writes durations in the two largest units that say something", () => {
    const written = [0, 0.0001, 0.05, 0.0996, 8.44, 59.94, 59.96, 61, 1800, 1791.6, 3599.6, 7500, 5_000_000].map(
      (seconds) => formatSeconds(seconds),
    );
    expect(written).to.deep.equal([
      "0 s",
      "< 1 ms",
      "50 ms",
      "0.1 s",
      "8.4 s",
      "59.9 s",
      "1 min",
      "1 min 1 s",
      "30 min",
      "29 min 52 s",
      "1 h",
      "2 h 5 min",
      "1,388 h 53 min",
    ]);
    expect(formatSeconds(20, 0)).to.equal("20 s");
  });

  it("never writes 60 s or 60 min", () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1e6, noNaN: true }), (seconds) => {
        expect(formatSeconds(seconds)).to.not.match(/\b60(\.0)? (s|min)/);
      }),
    );
  });

  it("writes bytes in decimal units", () => {
    const written = [0, 999, 1000, 999_949, 999_950, 41_802_113, 3e12, 5e18].map(formatBytes);
    expect(written).to.deep.equal(["0 B", "999 B", "1.0 kB", "999.9 kB", "1.0 MB", "41.8 MB", "3.0 TB", "5000.0 PB"]);
  });

  it("groups the digits of counts", () => {
    expect([0, 999, 1204, 1_234_567].map(formatCount)).to.deep.equal(["0", "999", "1,204", "1,234,567"]);
  });

  it("does not round a share to nothing or to all", () => {
    const shares = [0, 1, 37, 120, 600, 1199, 1200].map((part) => formatShare(part, 1200));
    expect(shares).to.deep.equal(["0%", "<0.1%", "3.1%", "10%", "50%", ">99%", "100%"]);
    expect(formatShare(0, 0)).to.equal("0%");
  });

  it("joins neighbouring ids, whatever their order", () => {
    expect(formatIdRanges([12, 3, 10, 11, 15, 3, 16])).to.equal("3, 10–12, 15–16");
    expect(formatIdRanges([])).to.equal("");
  });

  it("writes id ranges that parse back to the same ids", () => {
    const near = fc.array(fc.integer({ min: 0, max: 60 }));
    const far = fc.array(fc.maxSafeNat());
    fc.assert(
      fc.property(fc.oneof(near, far), (ids) => {
        expect(parseRanges(formatIdRanges(ids))).to.deep.equal([...new Set(ids)].sort((a, b) => a - b));
      }),
    );
  });

  it("writes times in UTC", () => {
    expect(formatTime("2026-10-14T14:03:11.900+02:00")).to.equal("2026-10-14 12:03:11 UTC");
  });
});

function parseRanges(text: string): number[] {
  if (text === "") return [];
  return text.split(", ").flatMap((range) => {
    const [first, last] = range.split("–").map(Number);
    if (first === undefined) throw new Error(`not a range: ${range}`);
    return Array.from({ length: (last ?? first) - first + 1 }, (_, at) => first + at);
  });
}
