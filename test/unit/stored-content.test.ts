import { expect } from "chai";
import fc from "fast-check";
import {
  type ChunkList,
  type Piece,
  parseChunkList,
  serialiseChunkList,
} from "../../runtime/domain/recovery-points/stored-content.ts";

const hex = (length: number) => fc.stringMatching(new RegExp(`^[0-9a-f]{${length}}$`));
const pack = fc.constantFrom("a".repeat(64), "b".repeat(64), "c".repeat(64));
const piece: fc.Arbitrary<Piece> = fc
  .record({
    name: hex(64),
    pack,
    offset: fc.nat(),
    length: fc.integer({ min: 1, max: 70_000 }),
    key: fc.constantFrom("1".repeat(32), "2".repeat(32)),
  })
  .map((one) => ({ ...one }));
const lists: fc.Arbitrary<ChunkList> = fc.array(fc.oneof(piece, fc.integer({ min: 1, max: 10_000 })), {
  maxLength: 40,
});
const one: Piece = { name: "e".repeat(64), pack: "a".repeat(64), offset: 5, length: 6, key: "1".repeat(32) };

describe("chunk list", () => {
  it("reads back as it was, in order", () => {
    fc.assert(
      fc.property(lists, (list) => {
        expect(parseChunkList(serialiseChunkList(list))).to.deep.equal(list);
      }),
    );
  });

  it("names a pack and a key once, however many chunks are in them", () => {
    const list = Array.from({ length: 100 }, (_, at) => ({ ...one, offset: at * 6 }));

    const text = serialiseChunkList(list);

    expect(text.split(one.pack)).to.have.lengthOf(2);
    expect(text.split(`"${one.key}"`)).to.have.lengthOf(2);
  });

  it("is refused when it points at a pack or key it does not name, or holds what no list holds", () => {
    const good = JSON.parse(serialiseChunkList([one]));
    const bad = [
      { ...good, packs: [] },
      { ...good, keys: [] },
      { ...good, chunks: [0] },
      { ...good, chunks: [-1] },
      { ...good, chunks: [1.5] },
      { ...good, chunks: [[one.name, 0, -1, 6, 0]] },
      { ...good, chunks: [[one.name, 0, 5, 0, 0]] },
      { ...good, chunks: [["short", 0, 5, 6, 0]] },
      { ...good, packs: ["../escape"] },
      { packs: [], keys: [] },
    ];

    expect(parseChunkList(JSON.stringify(good))).to.deep.equal([one]);
    for (const list of bad) {
      expect(() => parseChunkList(JSON.stringify(list)), JSON.stringify(list)).to.throw();
    }
    expect(() => parseChunkList('{"packs":[]')).to.throw();
  });
});
