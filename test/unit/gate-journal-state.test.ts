/** What status and metrics say of a gate's journal. */
import { expect } from "chai";
import { samplesOf } from "../../runtime/domain/monitoring/metrics.ts";
import { type JournalState, journalInWords } from "../../runtime/domain/roles/gate-journal.ts";

const well: JournalState = {
  mode: "async",
  waiting: 2,
  bufferedBytes: 700,
  lagSeconds: 0.26,
  isUnprotected: false,
  lateWrites: 0,
};

describe("the state of a gate's journal", () => {
  const words: readonly [string, JournalState | undefined, RegExp][] = [
    ["nothing where none is kept", undefined, /^$/],
    ["how far it is behind", well, /0\.3 s behind, 700 bytes wait$/],
    ["what Qdrant may still do", { ...well, lateWrites: 3 }, /3 writes without an answer/],
    ["that writes are unprotected", { ...well, isUnprotected: true }, /unprotected/],
    ["why no writes are taken", { ...well, refusal: "the store is gone" }, /no writes: the store is gone/],
  ];
  for (const [what, state, expected] of words) {
    it(`is told in words: ${what}`, () => expect(journalInWords(state)).to.match(expected));
  }

  it("is told in metrics, and by none where no journal is kept", () => {
    const told = (journal: JournalState | undefined) =>
      samplesOf({ region: "east", toolVersion: "1", sources: {}, runs: {}, journal })
        .filter(({ metric }) => metric.startsWith("qdrant_dr_journal_"))
        .map(({ value }) => value);
    expect(told(undefined)).to.deep.equal([]);
    expect(told(well)).to.deep.equal([0.26, 700, 0, 0, 0]);
    expect(told({ ...well, isUnprotected: true, refusal: "so", lateWrites: 3 })).to.deep.equal([0.26, 700, 1, 1, 3]);
  });
});
