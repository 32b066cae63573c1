import { expect } from "chai";
import fc from "fast-check";
import {
  filesOfSegment,
  parseSegment,
  type Segment,
  type SegmentManifest,
  segmentsThatWentBack,
  versionOf,
} from "../../runtime/domain/qdrant/segment-manifest.ts";

const segment = (version: number, files: Record<string, number | null> = {}, id = "one"): Segment => ({
  segment_id: id,
  segment_version: version,
  file_versions: files,
});
const manifestOf = (...segments: Segment[]): SegmentManifest =>
  Object.fromEntries(segments.map((one) => [one.segment_id, one]));

describe("segment manifest", () => {
  it("is read as Qdrant writes it", () => {
    const text = JSON.stringify(
      segment(12, { "segment.json": 12, "vector_storage/matrix.dat": 3, "version.info": null }),
    );

    expect(parseSegment(text)).to.deep.equal(JSON.parse(text));
  });

  it("is refused when a version is missing or no count", () => {
    for (const broken of [
      {},
      { segment_id: "one", file_versions: {} },
      { segment_id: "one", segment_version: -1, file_versions: {} },
      { segment_id: "one", segment_version: 1, file_versions: { a: "1" } },
    ]) {
      expect(() => parseSegment(JSON.stringify(broken)), JSON.stringify(broken)).to.throw();
    }
  });

  it("takes no name that every object has for a segment or a file", () => {
    for (const id of ["__proto__", "constructor", "toString"]) {
      expect(() => parseSegment(JSON.stringify(segment(1, {}, id))), id).to.throw();
      for (const path of [`segments/${id}/files/a`, `segments/one/files/${id}`]) {
        expect(versionOf(manifestOf(segment(3, { a: 1 })), path), path).to.equal(undefined);
      }
    }
  });

  it("names files by their path in the archive, and leaves 1.16's markers out", () => {
    const files = filesOfSegment(segment(1, { "segment.json": 1, "a/b.dat": null, "::ROCKS_DB": 1 }));

    expect(files).to.deep.equal(["segments/one/files/segment.json", "segments/one/files/a/b.dat"]);
  });

  it("sees a segment or a file whose version went down, and nothing else", () => {
    const base = manifestOf(segment(10, { a: 10, b: 5, c: null }));
    const cases: [what: string, now: Segment, wentBack: string[]][] = [
      ["nothing changed", segment(10, { a: 10, b: 5, c: null }), []],
      ["all went up", segment(11, { a: 11, b: 6, c: 1 }), []],
      ["the segment went down", segment(9, { a: 10, b: 5 }), ["one"]],
      ["one file went down", segment(11, { a: 11, b: 4 }), ["one"]],
      ["a file came", segment(11, { a: 11, b: 5, d: 0 }), []],
      ["a file went", segment(11, { a: 11 }), []],
      ["a version became unknown", segment(11, { a: null, b: 5 }), []],
      ["another segment with low versions", segment(0, { a: 0 }, "two"), []],
    ];
    for (const [what, now, wentBack] of cases) {
      expect(segmentsThatWentBack(base, manifestOf(now)), what).to.deep.equal(wentBack);
    }
  });

  it("gives a file without a version its segment's, and none to what Qdrant changes without one", () => {
    const text = "payload_index/t-text/point_to_tokens_count.dat";
    const segments = manifestOf(segment(10, { a: 10, c: null, [text]: 7 }));

    expect(versionOf(segments, "segments/one/files/a")).to.equal(10);
    expect(versionOf(segments, "segments/one/files/c")).to.equal(10);
    for (const path of ["segments/one/files/d", "segments/two/files/a", "a", `segments/one/files/${text}`]) {
      expect(versionOf(segments, path), path).to.equal(undefined);
    }
  });

  it("never calls growing versions a step back, and always sees one that shrank", () => {
    const versions = fc.dictionary(fc.constantFrom("a", "b", "c"), fc.nat({ max: 100 }), { minKeys: 1 });
    fc.assert(
      fc.property(versions, fc.nat({ max: 100 }), fc.integer({ min: 1, max: 9 }), (files, version, step) => {
        const base = manifestOf(segment(version + 10, { ...files }));
        const grown = Object.fromEntries(Object.entries(files).map(([file, at]) => [file, at + step]));
        const [shrunken] = Object.keys(files);
        const back = { ...grown, [shrunken ?? ""]: (files[shrunken ?? ""] ?? 0) - step };

        expect(segmentsThatWentBack(base, manifestOf(segment(version + 10 + step, grown)))).to.deep.equal([]);
        expect(segmentsThatWentBack(base, manifestOf(segment(version + 10 + step, back)))).to.deep.equal(["one"]);
      }),
    );
  });
});
