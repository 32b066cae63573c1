import { expect } from "chai";
import { countsEveryOperation } from "../../runtime/domain/qdrant/write-ahead-log.ts";

const segments = (...versions: number[]) =>
  Object.fromEntries(
    versions.map((segment_version, n) => [`s${n}`, { segment_id: `s${n}`, segment_version, file_versions: {} }]),
  );

describe("a captured write-ahead log", () => {
  const cases: readonly (readonly [title: string, paths: string[], versions: number[], counts: boolean])[] = [
    ["begins after the newest operation of the segments", ["wal/closed-12"], [3, 11], true],
    ["begins with an operation that the segments hold", ["wal/closed-11"], [3, 11], false],
    ["is of a shard that was never written to", ["wal/closed-0"], [0, 0], true],
    ["comes in several files", ["wal/closed-4", "wal/open-12", "wal/first-index"], [11], true],
    ["did not come", ["replica_state.json", "wal"], [0], false],
  ];
  for (const [title, paths, versions, counts] of cases) {
    it(`${counts ? "is kept" : "is refused"} when it ${title}`, () => {
      expect(countsEveryOperation(paths, segments(...versions))).to.equal(counts);
    });
  }
});
